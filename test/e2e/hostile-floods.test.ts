/** Lines of a log that somebody else begins, and too much of it: proxies, bytes of a message, messages that nobody is asked about. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type HostileWorld, readMemoryMb, startHostileWorld, type Tenant } from "../support/hostile-world.ts";
import { connectRaw, encodeRawMessage, messageType } from "../support/raw-frp-client.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let world: HostileWorld;
let thief: Tenant;
beforeAll(async () => {
  world = await startHostileWorld();
  thief = await world.makeTenant();
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

const proxyOf = ({ label }: Tenant, name = "app") => ({ proxy_name: `${label}.${name}`, proxy_type: "http", subdomain: label });

it("9: a line of a tenant's own making, in a name or before any login, does not pass for frps's word in our log", async () => {
  // Half of the quarter of an hour by which zones differ: the sieve is passed by whoever hits the minute in any zone.
  const at = new Date(Date.now() - 7.5 * 60_000).toISOString().slice(0, 23).replace("T", " ");
  const forged = (who: string): string => `a\n${at} [E] [server/service.go:1] forged by ${who}\nb`;
  using client = await world.logIn(thief);
  expect(await client.newProxy({ ...proxyOf(thief), proxy_name: `${thief.label}.${forged("a tenant")}` })).toMatch(/^PROXY_NAME/);
  using stranger = await connectRaw({ port: world.keyhole.controlPort });
  const answer = await stranger.newWorkConn({ run_id: forged("a stranger") }).next(messageType.startWorkConn);
  expect(answer).toMatchObject({ error: expect.any(String) });
  expect(await client.newProxy({ ...proxyOf(thief), proxy_name: `${thief.label}.last\u001b[31mof-them` })).toMatch(/^PROXY_NAME/);
  await waitForFact("frps's lines about it are in the log", () => (world.keyhole.output().includes("of-them") ? true : undefined));
  expect(world.keyhole.output()).not.toContain("\u001b");
  const lines = world.keyhole.output().match(/^\{.*"msg":"[^"]{0,8}forged by.*$/gm) ?? [];
  const believed = lines.filter((line) => !/^\{"level":"(?:info|debug)".*"unverified":true/.test(line));
  expect(believed).toEqual([]);
});

it("1: of ten thousand proxies of one session one is registered, four are looked at, and frps stays as it was", async () => {
  using client = await world.logIn(thief);
  const before = readMemoryMb(world.keyhole.frpsPid());
  const count = 10_000;
  const startedAt = performance.now();
  for (let index = 0; index < count; index += 1) client.control.send(messageType.newProxy, proxyOf(thief, String(index)));
  expect(await world.timeGoodClient()).toBeLessThan(2000);
  const answers = new Map<string, number>();
  for (let index = 0; index < count; index += 1) {
    const answer = await client.control.next(messageType.newProxyResp);
    if (answer === "ended") throw new Error(`the control was ended after ${index} answers`);
    const error = String(answer["error"] ?? "");
    const kind = error === "" ? "registered" : (/^[A-Z_]+(?=:)/.exec(error)?.[0] ?? "frps refused");
    answers.set(kind, (answers.get(kind) ?? 0) + 1);
  }
  expect(performance.now() - startedAt).toBeLessThan(30_000);
  expect(answers.get("registered")).toBe(1);
  // What frps itself refuses, because the host is taken, is forgotten after some seconds and makes room for another try.
  expect([...answers.keys()].toSorted()).toEqual(["PROXY_LIMIT", "frps refused", "registered"]);
  expect(answers.get("frps refused")).toBeLessThan(60);
  expect(readMemoryMb(world.keyhole.frpsPid()) - before).toBeLessThan(50);
});

it("1: a name that is taken stays with whoever has it", async () => {
  const second = await world.makeTenant();
  const name = `ps-${thief.label.slice(2, 10)}`;
  using first = await world.logIn(thief);
  using late = await world.logIn(second);
  expect(await first.newProxy({ ...proxyOf(thief), proxy_name: name })).toBe("");
  expect(await late.newProxy({ ...proxyOf(second), proxy_name: name })).toContain("already exists");
  late.closeProxy(name);
  expect(await late.newProxy({ ...proxyOf(second), proxy_name: name })).toContain("already exists");
});

/** A NewProxy with a field that frp does not have, so that its JSON has this many bytes. */
function proxyOfBytes(bytes: number): string {
  const json = JSON.stringify({ ...proxyOf(thief), unknown: "" });
  return json.replace('"unknown":""', `"unknown":"${"a".repeat(bytes - json.length)}"`);
}

it("4: a message of 10,240 bytes is read, and one of 10,241 ends the control", async () => {
  using client = await world.logIn(thief);
  client.control.send(messageType.newProxy, proxyOfBytes(10_240));
  expect(await client.control.next(messageType.newProxyResp)).not.toHaveProperty("error");
  client.control.send(messageType.newProxy, proxyOfBytes(10_241));
  expect(await client.control.next(messageType.newProxyResp)).toBe("ended");
});

it.each([-1n, 2n ** 62n, -(2n ** 63n)])("4: a message that says it has %d bytes ends the control", async (length) => {
  using client = await world.logIn(thief);
  client.control.sendBytes(encodeRawMessage(messageType.newProxy, "{}", length));
  expect(await client.control.next(messageType.newProxyResp)).toBe("ended");
});

it("4: control messages that no hook sees, by the ten thousand, keep nobody else from logging in", async () => {
  using client = await world.logIn(thief);
  for (let index = 0; index < 20_000; index += 1) {
    client.control.send("i", { transaction_id: String(index), proxy_name: world.victim.label, protocol: "quic" });
    if (index % 10 === 0) client.closeProxy(`${world.victim.label}.app`);
    if (index % 10 === 5) client.control.send(messageType.ping, {});
  }
  expect(await world.timeGoodClient()).toBeLessThan(2000);
});
