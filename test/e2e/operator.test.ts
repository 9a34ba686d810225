/** An operator at 3 a.m.: this address is abused; get it off, keep it off, show me what it did. */
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectClient } from "../support/desktop-client.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { type KeyholeProcess, type RunningKeyhole, startKeyholeProcess } from "../support/keyhole-process.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { runKeyhole } from "../support/run-keyhole.ts";
import { hostOf, servedBy } from "../support/served-by.ts";
import { openTemporaryDirectory } from "../support/temporary-directory.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet, type Wallet } from "../support/wallet.ts";

const key = "a-key-of-the-admin-port-of-this-test";
const folder = openTemporaryDirectory();
const keyFile = join(folder.path, "admin.key");
let keyhole: KeyholeProcess;
let parts: KeyholeParts;
let app: LocalApp;
beforeAll(async () => {
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const settings = `admin.listen = "127.0.0.1:0"\nadmin.keyFile = ${JSON.stringify(keyFile)}`;
  [keyhole, parts, app] = await Promise.all([startKeyholeProcess({ settings }), startKeyholeParts(), startLocalApp("app")]);
});
afterAll(async () => {
  await app?.[Symbol.asyncDispose]();
  await keyhole?.[Symbol.asyncDispose]();
  await parts?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

/** Nobody of ours; with the group of the state directory one of it. Only root can become that. */
const nobody = { uid: 65_534, gid: 65_534 };
const isRoot = process.getuid?.() === 0;
const member = isRoot ? { uid: nobody.uid, gid: 0 } : {};

const statusOf = async (at: RunningKeyhole, wallet: Wallet): Promise<number> => (await visit(at.edgePort, hostOf(wallet))).status;
/** What so many requests that begin now are answered with. */
async function countStatuses(at: RunningKeyhole, wallet: Wallet, count: number): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (let left = count; left > 0; left -= 20) {
    const statuses = await Promise.all(Array.from({ length: Math.min(20, left) }, () => statusOf(at, wallet)));
    for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}
const awaitStatus = (at: RunningKeyhole, wallet: Wallet, wanted: number): Promise<true> =>
  waitForFact(`visitors are answered ${wanted}`, async () => ((await statusOf(at, wallet)) === wanted ? true : undefined));

describe.each([
  ["in one process", () => keyhole],
  ["with parts apart", () => parts],
] as const)("an abused address, %s", (_how, choose) => {
  it("12: is off and kept off, and what it did is shown, in four commands; it is back without help when the block is lifted", async () => {
    const at = choose();
    const wallet = makeWallet();
    await using client = await connectClient(at, wallet, app.port);
    await servedBy(at, wallet, "app");
    // What somebody who complains sends: the URL.
    const url = `http://${hostOf(wallet)}:${at.edgePort}/login.html?x=1`;
    const status = await runKeyhole(at, ["status"]);
    expect([status.code, status.stdout]).toEqual([0, expect.stringMatching(/1 connected, 1 routable[\s\S]*All is well/)]);

    const blocked = await runKeyhole(at, ["block", url, "--for", "24h", "--reason", "phishing"]);
    expect([blocked.code, blocked.stderr]).toEqual([0, ""]);
    expect(await countStatuses(at, wallet, 100)).toEqual({ 403: 100 });
    await client.saw("ADDRESS_BLOCKED");

    const shown = await runKeyhole(at, ["identity", "show", url, "--json"]);
    const identity = JSON.parse(shown.stdout) as { block: object; sessions: object[]; history: object[]; events: { event: string }[] };
    expect(identity).toMatchObject({
      label: wallet.label,
      sessions: [],
      block: { reason: "phishing", endsAt: expect.any(String), by: expect.any(String) },
      history: [{ end: "evicted", source: expect.stringMatching(/^127\.0\.0\.1:/) }],
    });
    expect(identity.events.map(({ event }) => event)).toEqual(
      expect.arrayContaining(["block.set", "session.ended", "session.admitted", "token.granted"]),
    );
    expect((await runKeyhole(at, ["identity", "show", url])).stdout).toMatch(/blocked +since .*: phishing/);

    const blocks = await runKeyhole(at, ["blocks"]);
    expect([blocks.code, blocks.stdout]).toEqual([0, expect.stringMatching(new RegExp(`${wallet.label}.*phishing`, "i"))]);

    client.mark();
    const lifted = await runKeyhole(at, ["unblock", wallet.label]);
    expect([lifted.code, lifted.stderr]).toEqual([0, ""]);
    await servedBy(at, wallet, "app", 40_000);
    expect((await runKeyhole(at, ["unblock", wallet.label])).code).toBe(3);
  });

  it("12: that is revoked is off within a second, Node's start included, and only a new signature helps", async () => {
    const at = choose();
    const wallet = makeWallet();
    await using client = await connectClient(at, wallet, app.port);
    await servedBy(at, wallet, "app");
    const sessions = await runKeyhole(at, ["sessions", "list", "--address", wallet.label, "--json"]);
    const { sessions: listed } = JSON.parse(sessions.stdout) as { sessions: { id: string; state: string }[] };
    expect(listed).toMatchObject([{ state: "routable" }]);
    const kicked = await runKeyhole(at, ["sessions", "kick", listed[0]?.id ?? ""]);
    expect([kicked.code, kicked.stderr]).toEqual([0, ""]);
    await servedBy(at, wallet, "app");

    const revoked = await runKeyhole(at, ["revoke", wallet.label]);
    expect([revoked.code, revoked.stderr]).toEqual([0, ""]);
    expect(await countStatuses(at, wallet, 200)).toEqual({ 503: 200 });
    await client.saw("TOKEN_REVOKED");
    // Repeating it is harmless. The fastest of three: the machine may have much else to do.
    const again = [await runKeyhole(at, ["revoke", wallet.label]), await runKeyhole(at, ["revoke", wallet.label])];
    expect(again.map(({ code }) => code)).toEqual([0, 0]);
    expect(Math.min(revoked.ms, ...again.map(({ ms }) => ms))).toBeLessThan(1000);
    expect((await runKeyhole(at, ["sessions", "kick", wallet.label])).code).toBe(3);
    expect((await runKeyhole(at, ["sessions", "show", wallet.label])).code).toBe(3);
  });
});

describe("with the plugin killed", () => {
  it("6, 7, 12: a revocation is recorded (exit code 5), and nobody is served any more once the plugin is back", async () => {
    const wallet = makeWallet();
    await using client = await connectClient(parts, wallet, app.port);
    await servedBy(parts, wallet, "app");
    const other = makeWallet();
    await using _other = await connectClient(parts, other, app.port);
    await servedBy(parts, other, "app");
    await parts.end("plugin", "SIGKILL");
    const revoked = await runKeyhole(parts, ["revoke", wallet.label, "--json"]);
    expect([revoked.code, JSON.parse(revoked.stdout)]).toEqual([5, expect.objectContaining({ order: "revoke", enforced: false })]);
    chmodSync(parts.dir, 0o755);
    const blocked = await runKeyhole(parts, ["block", "203.0.113.0/24"], member);
    expect([blocked.code, blocked.stdout]).toEqual([5, expect.stringMatching(/recorded, not yet enforced[\s\S]*keyhole plugin --config/)]);
    expect((await runKeyhole(parts, ["sessions", "kick", wallet.label])).code).toBe(5);
    expect((await runKeyhole(parts, ["blocks"])).stdout).toContain("203.0.113.0/24");
    // What the next plugin must be able to write, whoever it runs as.
    expect(statSync(join(parts.stateDir, "sessions.db")).mode & 0o777).toBe(0o660);

    await parts.start("plugin");
    await awaitStatus(parts, wallet, 503);
    expect(await countStatuses(parts, wallet, 200)).toEqual({ 503: 200 });
    await client.saw("TOKEN_REVOKED");
    expect(await countStatuses(parts, other, 20)).toEqual({ 200: 20 });
    expect((await runKeyhole(parts, ["unblock", "203.0.113.0/24"])).code).toBe(0);
  });

  it("7: one that is only frozen is not written behind its back: the command says that it does not answer", async () => {
    const wallet = makeWallet();
    process.kill(parts.pidOf("plugin"), "SIGSTOP");
    const revoked = await runKeyhole(parts, ["revoke", wallet.label]);
    process.kill(parts.pidOf("plugin"), "SIGCONT");
    expect([revoked.code, revoked.stderr]).toEqual([1, expect.stringContaining("PART_UNREACHABLE")]);
  });

  it("a user outside the group may order nothing, and one of the group may: exit code 4", async () => {
    chmodSync(parts.dir, 0o755);
    // Who cannot become somebody else is kept out of the socket by its mode instead.
    const socket = join(parts.stateDir, "run", "plugin.sock");
    if (!isRoot) chmodSync(socket, 0);
    const revoked = await runKeyhole(parts, ["revoke", makeWallet().label], isRoot ? nobody : {});
    if (!isRoot) chmodSync(socket, 0o660);
    expect([revoked.code, revoked.stderr]).toEqual([4, expect.stringContaining("Run this as its user")]);
    expect((await runKeyhole(parts, ["blocks"], member)).code).toBe(0);
  });
});

describe("the admin API on a port", () => {
  it("10: is the same as on the socket for who has the key, and nothing runs that was to have one and has none", async () => {
    const { ports } = JSON.parse(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")) as { ports: Record<string, number> };
    const ask = (headers: Record<string, string>) => visit(ports["admin.listen"] ?? 0, "localhost", { path: "/v1/status", headers });
    const answer = await ask({ authorization: `Bearer ${key}` });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, expect.objectContaining({ part: "plugin", problems: [] })]);
    expect(JSON.parse((await ask({})).body)).toMatchObject({ code: "ADMIN_UNAUTHORIZED" });
    expect(keyhole.output()).not.toContain(key);

    await keyhole.end("SIGTERM");
    rmSync(keyFile);
    const refused = await runKeyhole(keyhole, ["up"]);
    expect([refused.code, refused.stderr]).toEqual([78, expect.stringContaining("KEYS_UNREADABLE")]);
  });
});
