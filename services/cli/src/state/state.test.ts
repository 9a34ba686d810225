import { createPrivateKey, createPublicKey, randomBytes, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openControlCertificate } from "./certificates.ts";
import { openKeyRing } from "./key-files.ts";
import { findPortHolder, isFree, openPorts } from "./ports.ts";
import { writeReadyFile } from "./ready-file.ts";

let dir = "";
let time = new Date("2026-11-22T12:00:00Z");
const now = (): Date => time;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-state-"));
  time = new Date("2026-11-22T12:00:00Z");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const modeOf = (...parts: string[]): number => statSync(join(dir, ...parts)).mode & 0o777;

describe("key rings", () => {
  it("6: make one key the first time and give the same one ever after", () => {
    const first = openKeyRing({ dir: join(dir, "keys"), now, randomBytes })();
    const again = openKeyRing({ dir: join(dir, "keys"), now, randomBytes })();
    expect(again).toEqual(first);
    expect(first.keys[0].secret).toHaveLength(32);
    const [name = ""] = readdirSync(join(dir, "keys"));
    expect([modeOf("keys"), modeOf("keys", name)]).toEqual([0o700, 0o600]);
  });

  it("take up a rotation without a restart: the newest mints, all verify", () => {
    const read = openKeyRing({ dir, now, randomBytes });
    const [old] = read().keys;
    time = new Date(time.getTime() + 5000);
    writeFileSync(join(dir, `${time.getTime()}-0badcafe.key`), `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600 });
    const keys = read().keys;
    expect(keys.map(({ id }) => id)).toEqual([`${time.getTime()}-0badcafe`, old.id]);
  });

  it.each([
    ["is readable by everybody", () => chmodSync(join(dir, readdirSync(dir)[0] ?? ""), 0o644), "chmod 600"],
    ["is cut short", () => writeFileSync(join(dir, readdirSync(dir)[0] ?? ""), "abc"), "does not hold 32 bytes"],
  ])("refuse a key that %s, with what to do", (_name, spoil, remedy) => {
    openKeyRing({ dir, now, randomBytes });
    spoil();
    expect(() => openKeyRing({ dir, now, randomBytes })).toThrow(remedy);
  });
});

describe("the control certificate", () => {
  it("is of our own CA, for the control host, ECDSA P-256, and is kept", async () => {
    const made = await openControlCertificate({ dir, host: "127.0.0.1", now });
    const certificate = new X509Certificate(readFileSync(made.certFile));
    const ca = new X509Certificate(made.caPem);
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect([certificate.checkIP("127.0.0.1"), ca.ca, certificate.ca]).toEqual(["127.0.0.1", true, false]);
    expect(createPublicKey(createPrivateKey(readFileSync(made.keyFile))).asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect([modeOf("ca.key"), modeOf("control.key")]).toEqual([0o600, 0o600]);
    const kept = await openControlCertificate({ dir, host: "127.0.0.1", now });
    expect([kept, readFileSync(kept.certFile)]).toEqual([made, readFileSync(made.certFile)]);
  });

  it("is made anew, by the same CA, for another host and before it ends", async () => {
    const first = await openControlCertificate({ dir, host: "127.0.0.1", now });
    const ofFirst = readFileSync(first.certFile, "utf8");
    const other = await openControlCertificate({ dir, host: "proxy.example.org", now });
    expect([other.caPem, new X509Certificate(readFileSync(other.certFile)).checkHost("proxy.example.org")]).toEqual([
      first.caPem,
      "proxy.example.org",
    ]);
    const ofOther = readFileSync(other.certFile, "utf8");
    time = new Date(time.getTime() + 350 * 86_400_000);
    const later = await openControlCertificate({ dir, host: "proxy.example.org", now });
    expect(later.caPem).toBe(first.caPem);
    expect(new Set([ofFirst, ofOther, readFileSync(later.certFile, "utf8")]).size).toBe(3);
  });
});

describe("internal ports", () => {
  const open = (wanted: Record<string, { host: string; port: number }>) =>
    openPorts({ file: join(dir, "ports.json"), wanted, recordFile: join(dir, "frps.json"), randomBytes });
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
    expect([modeOf("ports.json"), first.hookPassword.length, first.dashboardPassword === first.hookPassword]).toEqual([0o600, 32, false]);
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
