import { createPrivateKey, createPublicKey, randomBytes, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeProcessRecord } from "@keyhole/frp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openControlCertificate } from "./certificates.ts";
import { findPortHolder, isFree, openPorts } from "./ports.ts";
import { createPrivateFile } from "./private-file.ts";
import { writeReadyFile } from "./ready-file.ts";
import { openStateDirectory } from "./state-directory.ts";

let dir = "";
let time = new Date("2026-11-22T12:00:00Z");
const now = (): Date => time;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-state-"));
  time = new Date("2026-11-22T12:00:00Z");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const modeOf = (...parts: string[]): number => statSync(join(dir, ...parts)).mode & 0o7777;

describe("the state directory", () => {
  it("is private unless it was made to be shared: 0700, or 2770 with files for the group", () => {
    const umask = process.umask(0o077);
    try {
      const own = openStateDirectory(join(dir, "own"), "private");
      own.folder("keys", "a");
      expect([own.isShared, own.fileMode, modeOf("own"), modeOf("own", "keys", "a")]).toEqual([false, 0o600, 0o700, 0o700]);
      const shared = openStateDirectory(join(dir, "shared"), "shared");
      shared.folder("keys", "a");
      expect([shared.isShared, shared.fileMode, modeOf("shared"), modeOf("shared", "keys", "a")]).toEqual([true, 0o660, 0o2770, 0o2770]);
      // What is there already decides: neither way of running changes who may read.
      expect(openStateDirectory(join(dir, "own"), "shared").isShared).toBe(false);
      expect(openStateDirectory(join(dir, "shared"), "private").isShared).toBe(true);
      chmodSync(join(dir, "own"), 0o755);
      openStateDirectory(join(dir, "own"), "private");
      expect(modeOf("own")).toBe(0o700);
    } finally {
      process.umask(umask);
    }
  });

  it("of several processes that make one file, the first one's holds", () => {
    expect(createPrivateFile(join(dir, "one"), "first")).toBe(true);
    expect(createPrivateFile(join(dir, "one"), "second")).toBe(false);
    expect([readFileSync(join(dir, "one"), "utf8"), readdirSync(dir)]).toEqual(["first", ["one"]]);
  });
});

describe("the control certificate", () => {
  it("is of our own CA, for the control host, ECDSA P-256, and is kept", async () => {
    const made = await openControlCertificate({ state: openStateDirectory(dir, "private"), host: "127.0.0.1", now });
    const certificate = new X509Certificate(readFileSync(made.certFile));
    const ca = new X509Certificate(made.caPem);
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect([certificate.checkIP("127.0.0.1"), ca.ca, certificate.ca]).toEqual(["127.0.0.1", true, false]);
    expect(createPublicKey(createPrivateKey(readFileSync(made.keyFile))).asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect([modeOf("control", "ca.key"), modeOf("control", "control.key")]).toEqual([0o600, 0o600]);
    const kept = await openControlCertificate({ state: openStateDirectory(dir, "private"), host: "127.0.0.1", now });
    expect([kept, readFileSync(kept.certFile)]).toEqual([made, readFileSync(made.certFile)]);
  });

  it("is made anew, by the same CA, for another host and before it ends", async () => {
    const first = await openControlCertificate({ state: openStateDirectory(dir, "private"), host: "127.0.0.1", now });
    const ofFirst = readFileSync(first.certFile, "utf8");
    const other = await openControlCertificate({ state: openStateDirectory(dir, "private"), host: "proxy.example.org", now });
    expect([other.caPem, new X509Certificate(readFileSync(other.certFile)).checkHost("proxy.example.org")]).toEqual([
      first.caPem,
      "proxy.example.org",
    ]);
    const ofOther = readFileSync(other.certFile, "utf8");
    time = new Date(time.getTime() + 350 * 86_400_000);
    const later = await openControlCertificate({ state: openStateDirectory(dir, "private"), host: "proxy.example.org", now });
    expect(later.caPem).toBe(first.caPem);
    expect(new Set([ofFirst, ofOther, readFileSync(later.certFile, "utf8")]).size).toBe(3);
  });
});

describe("internal ports", () => {
  const open = (wanted: Record<string, { host: string; port: number }>) =>
    openPorts({
      file: join(dir, "ports.json"),
      wanted,
      recordFile: join(dir, "frps.json"),
      fileMode: 0o600,
      isAlone: true,
      randomBytes,
    });
  const wanted = {
    "frps.bindPort": { host: "127.0.0.1", port: 0 },
    "plugin.listen": { host: "127.0.0.1", port: 0 },
    "edge.listen": { host: "127.0.0.1", port: 7080 },
  };

  it("8: are chosen once and kept with their passwords, so that a restart changes nothing", async () => {
    const first = await open(wanted);
    expect(await open(wanted)).toEqual(first);
    expect(first.ports["edge.listen"]).toBe(7080);
    expect(new Set(Object.values(first.ports)).size).toBe(3);
    expect([modeOf("ports.json"), first.hookPassword.length]).toEqual([0o600, 32]);
    expect(new Set([first.hookPassword, first.dashboardPassword, first.edgePassword]).size).toBe(3);
  });

  it("of a file from before the edge had a password are kept; of parts that complete it at once all come to the same", async () => {
    const first = await open(wanted);
    const { edgePassword: _, ...former } = first;
    const put = (): void => writeFileSync(join(dir, "ports.json"), JSON.stringify(former), { mode: 0o600 });
    put();
    const completed = await open(wanted);
    expect(completed).toMatchObject(former);
    expect(completed.edgePassword).toMatch(/^[\w-]{32}$/);
    expect(await open(wanted)).toEqual(completed);
    expect(JSON.parse(readFileSync(join(dir, "ports.json"), "utf8"))).toEqual(completed);
    put();
    expect(await open(wanted)).toEqual(completed);
  });

  it("stay as they are where the parts run apart, for whoever has taken one is most likely the part it belongs to; of two that choose at once one does", async () => {
    const apart = () =>
      openPorts({
        file: join(dir, "ports.json"),
        wanted,
        recordFile: join(dir, "frps.json"),
        isAlone: false,
        fileMode: 0o660,
        randomBytes,
      });
    const [first, second] = await Promise.all([apart(), apart()]);
    expect(second).toEqual(first);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(first.ports["plugin.listen"], "127.0.0.1", resolve));
    expect(await apart()).toEqual(first);
    server.close();
    expect(modeOf("ports.json")).toBe(0o660);
    // New ones would cut the parts off from a frps that runs on the old.
    writeProcessRecord(join(dir, "frps.json"), { pid: process.pid, digest: "", configHash: "" });
    rmSync(join(dir, "ports.json"));
    await expect(apart()).rejects.toThrow("keyhole supervisor --stop");
  });

  it("are chosen anew when somebody else has taken one, or the file is damaged", async () => {
    const first = await open(wanted);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(first.ports["plugin.listen"], "127.0.0.1", resolve));
    expect(await isFree("127.0.0.1", first.ports["plugin.listen"] ?? 0)).toBe(false);
    expect(findPortHolder(first.ports["plugin.listen"] ?? 0)).toContain(`pid ${process.pid}`);
    const second = await open(wanted);
    server.close();
    expect(second.ports["plugin.listen"]).not.toBe(first.ports["plugin.listen"]);
    expect([second.ports["frps.bindPort"], second.hookPassword]).toEqual([first.ports["frps.bindPort"], first.hookPassword]);
    writeFileSync(join(dir, "ports.json"), "{", { mode: 0o600 });
    expect((await open(wanted)).hookPassword).not.toBe(first.hookPassword);
  });
});

describe("ready.json", () => {
  const file = (): string => join(dir, "ready.json");
  const urls = { token: "t", edge: "e", control: "c", metrics: "m" };
  it("exists while everything serves, and is nobody else's to take away", () => {
    const ready = writeReadyFile({ file: file(), pid: 1, urls, binaries: { frps: "a", frpc: "b" } });
    expect(JSON.parse(readFileSync(file(), "utf8"))).toEqual({ pid: 1, urls, binaries: { frps: "a", frpc: "b" } });
    const next = writeReadyFile({ file: file(), pid: 2, urls, binaries: { frps: "a", frpc: "b" } });
    ready[Symbol.dispose]();
    expect(readdirSync(dir)).toContain("ready.json");
    next[Symbol.dispose]();
    expect(readdirSync(dir)).toEqual([]);
  });
});
