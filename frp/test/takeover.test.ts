/** What a session's end means to its successor, to visitors and to what is under way (frp.md §2–§4). */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { expect, it } from "vitest";
import { awaitFact, observeStillness } from "./support/await-fact.ts";
import { startEchoApp } from "./support/echo-app.ts";
import { admit, type HookScript, register } from "./support/hook-server.ts";
import { openRawVisitor } from "./support/raw-visit.ts";
import { startRelay } from "./support/relay.ts";
import { startApp } from "./support/servers.ts";
import { startWorld, type World } from "./support/world.ts";

const ticket = "T".repeat(63);
const host = "a.tunnel.test";
const refused = { kind: "refuse", reason: "REPLACED: by a newer one." } as const;

/** Everybody gets one run id; a kick passes, and who comes back with the run id does not. */
const script: HookScript = {
  login: (content) => (content.metas["nonce"] === "kick" || content.runId === "" ? admit(content, { run_id: ticket }) : refused),
};
const clientOf = (localPort: number) => ({ name: "web", localPort, subdomain: "a" });
const isAnswered = async (world: World, status: number) => (await world.visit(host)).status === status;

it("two clients given one run_id: the newest has the host and the proxy name at once, and the other is told at its next Login", async () => {
  await using oldApp = await startApp("old");
  await using newApp = await startApp("new");
  await using world = await startWorld({ script });
  const old = await world.startClient(clientOf(oldApp.port));
  await world.awaitVisit(host, "old");
  const next = await world.startClient(clientOf(newApp.port));
  const trace: string[] = [];
  await awaitFact("the new one serves", async () => {
    const { status, body } = await world.visit(host);
    const seen = status === 200 ? body : String(status);
    if (trace.at(-1) !== seen) trace.push(seen);
    return seen === "new";
  });
  // The gap may be too short to be seen; nothing else is, and nothing goes back.
  expect(["old new", "old 404 new", "404 new", "new"]).toContain(trace.join(" "));
  await awaitFact("the old one is refused", () => old.log().includes(refused.reason), { seen: () => world.describe() });
  expect((await world.visit(host)).body).toBe("new");
  expect(`${old.log()}${next.log()}`).not.toContain("already exists");
});

it("two clients given one run_id, and both always admitted, take it from each other for ever", async () => {
  await using oneApp = await startApp("one");
  await using otherApp = await startApp("other");
  await using world = await startWorld({ script: { login: (content) => admit(content, { run_id: ticket }) } });
  await world.startClient(clientOf(oneApp.port));
  await world.awaitVisit(host, "one");
  await world.startClient(clientOf(otherApp.port));
  await awaitFact("they have displaced each other again and again", () => world.hook.logins.length >= 8, { seen: () => world.describe() });
});

it("a client that comes back with its run_id while frps still believes in its old connection replaces itself", async () => {
  let logins = 0;
  await using app = await startApp("app");
  await using world = await startWorld({
    script: {
      login: (content) => {
        logins += 1;
        return admit(content, { run_id: ticket, metas: { session: `s${logins}` } });
      },
      // In the same letter case its visitors would wait for the connection that is dead (`idle-connections.test.ts`).
      newProxy: (content) => register(content, [logins === 1 ? host : "A.tunnel.test"]),
    },
  });
  await using relay = await startRelay(world.settings.bindPort);
  await world.startClient({ ...clientOf(app.port), extra: { serverPort: relay.port } });
  await world.awaitVisit(host, "app");
  relay.halve();
  await awaitFact("it has registered again", () => world.hook.newProxies.length === 2, { seen: () => world.describe() });
  await world.awaitVisit(host, "app");
  await awaitFact("CloseProxy is asked", () => world.hook.closeProxies.length > 0, { seen: () => world.describe() });
  // Each CloseProxy has the metas of its own Login: late or not, it cannot be taken for the newer session's.
  expect(world.hook.newProxies.map(({ user }) => user.metas["session"])).toEqual(["s1", "s2"]);
  expect(world.hook.closeProxies.map(({ user }) => user.metas["session"])).toEqual(["s1"]);
});

it("a visitor's own connection survives a kick: the next request on it is a 404, and is served when a client is back", async () => {
  await using app = await startApp("app");
  await using world = await startWorld({ script });
  await world.startClient(clientOf(app.port));
  await world.awaitVisit(host, "app");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  const ask = async (): Promise<number | undefined> => {
    const asked = request({ host: "127.0.0.1", port: world.settings.vhostHttpPort, agent, headers: { host } }).end();
    const [answer] = await once(asked, "response");
    ports.add(asked.socket?.localPort);
    await once(answer.resume(), "end");
    return answer.statusCode;
  };
  try {
    expect(await ask()).toBe(200);
    await world.kick(ticket);
    expect(await ask()).toBe(404);
    world.hook.script = {};
    await awaitFact("it is served again", async () => (await ask()) === 200, { seen: () => world.describe() });
    expect(ports.size).toBe(1);
  } finally {
    agent.destroy();
  }
});

it("what is under way dies at a kick with an honest client; with a frozen one it lives until its TCP connection is cut", async () => {
  await using app = await startEchoApp();
  await using world = await startWorld({ script });
  await using relay = await startRelay(world.settings.bindPort);
  for (const isFrozen of [false, true]) {
    const client = await world.startClient({ ...clientOf(app.port), extra: { serverPort: relay.port } });
    await awaitFact("it serves", () => isAnswered(world, 200), { seen: () => world.describe() });
    using stream = openRawVisitor(world.settings.vhostHttpPort, ["GET /stream HTTP/1.1", `Host: ${host}`]);
    await awaitFact("the stream runs", () => stream.received().includes("first"), { seen: () => world.describe() });
    if (isFrozen) client.signal("SIGSTOP");
    await world.kick(ticket);
    expect(await isAnswered(world, 404)).toBe(true);
    if (isFrozen) {
      await observeStillness("the stream is open", () => !stream.hasEnded(), { forMs: 1000 });
      relay.cut();
    }
    await awaitFact("the stream has ended", () => stream.hasEnded(), { seen: () => world.describe() });
    await client.stop();
  }
});

it("a kick of a frozen client with an upload under way takes seconds, and none once its TCP connection is cut", async () => {
  await using app = await startEchoApp();
  await using world = await startWorld({ script });
  await using relay = await startRelay(world.settings.bindPort);
  for (const isCutFirst of [false, true]) {
    const client = await world.startClient({ ...clientOf(app.port), extra: { serverPort: relay.port } });
    await awaitFact("it serves", () => isAnswered(world, 200), { seen: () => world.describe() });
    client.signal("SIGSTOP");
    using uploads = new DisposableStack();
    const visitors = Array.from({ length: 4 }, () =>
      uploads.use(openRawVisitor(world.settings.vhostHttpPort, ["POST /silent HTTP/1.1", `Host: ${host}`, "Content-Length: 100000000"])),
    );
    // More than every buffer on the way holds.
    for (const visitor of visitors) visitor.send("x".repeat(20_000_000));
    await awaitStandstill(() => visitors.reduce((sum, visitor) => sum + visitor.unsent(), 0));
    if (isCutFirst) relay.cut();
    let isDone = false;
    const kicked = world.kick(ticket).then(() => {
      isDone = true;
    });
    if (!isCutFirst) {
      await observeStillness("the kick waits", () => !isDone, { forMs: 1500 });
      relay.cut();
    }
    await kicked;
    expect(await isAnswered(world, 404)).toBe(true);
    await client.stop();
  }
});

/** Waits until a number above zero has been the same for half a second. */
async function awaitStandstill(measure: () => number): Promise<void> {
  let last = 0;
  let since = performance.now();
  await awaitFact("nothing moves any more", () => {
    const now = measure();
    if (now !== last) since = performance.now();
    last = now;
    return now > 0 && performance.now() - since > 500;
  });
}
