/** frp.md §15: a run id is a bearer key, and nothing that is hooked stands in the way. That is why a ticket is a secret. */
import { expect, it } from "vitest";
import { kick } from "../src/index.ts";
import { decodeMessage } from "../src/wire.ts";
import { awaitFact, observeStillness } from "./support/await-fact.ts";
import { admit } from "./support/hook-server.ts";
import { newWorkConnType, openRawStream, startWorkConnType } from "./support/raw-stream.ts";
import { openRawVisitor, type RawVisitor } from "./support/raw-visit.ts";
import { startApp } from "./support/servers.ts";
import { startWorld } from "./support/world.ts";

const ticket = "W".repeat(63);
const workConn = (runId: string) => ({ type: newWorkConnType, content: { run_id: runId } });

it("who sends NewWorkConn with a known run_id, and nothing else, gets visitors' requests and answers them; the hook is not asked", async () => {
  await using app = await startApp("app");
  await using world = await startWorld({ script: { login: (content) => admit(content, { run_id: ticket }) } });
  const client = await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
  await world.awaitVisit("a.tunnel.test", "app");
  const asked = world.hook.requests.length;
  // Frozen: the owner opens no further work connection, so ours is the next that is taken.
  client.signal("SIGSTOP");
  using thief = openRawStream(world.settings.bindPort, workConn(ticket));
  using visitors = new DisposableStack();
  const open: RawVisitor[] = [];
  const stolen = await awaitFact("a request is stolen", () => {
    const lines = ["GET /secret HTTP/1.1", "Host: a.tunnel.test", "Cookie: session=s1"];
    open.push(visitors.use(openRawVisitor(world.settings.vhostHttpPort, lines)));
    const bytes = thief.received();
    const message = decodeMessage(bytes);
    if (message === "more" || message === "broken") return undefined;
    return bytes.includes("\r\n\r\n") && { message, request: bytes.subarray(9 + Number(bytes.readBigInt64BE(1))).toString("latin1") };
  });
  expect(stolen.message).toMatchObject({ type: startWorkConnType, content: { proxy_name: "web" } });
  expect(stolen.request).toMatch(/^GET \/secret HTTP\/1\.1\r\n[\s\S]*Cookie: session=s1\r\n/);
  const body = "from the thief";
  thief.send(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
  await awaitFact("the visitor has the thief's answer", () => open.some((visitor) => visitor.received().endsWith(body)));
  expect(world.hook.requests).toHaveLength(asked);
});

it("a NewWorkConn with a run_id that nobody has is closed and gets nothing", async () => {
  await using app = await startApp("app");
  await using world = await startWorld({ script: { login: (content) => admit(content, { run_id: ticket }) } });
  await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
  await world.awaitVisit("a.tunnel.test", "app");
  for (const guess of ["", "W".repeat(62), "x".repeat(63)]) {
    using stream = openRawStream(world.settings.bindPort, workConn(guess));
    await awaitFact("it is closed", () => stream.hasEnded());
    const answer = decodeMessage(stream.received());
    if (answer !== "more") expect(answer).toMatchObject({ content: { error: expect.any(String) } });
    expect((await world.visit("a.tunnel.test")).body).toBe("app");
  }
});

it("a Login's timestamp may be of any age: frps has no rule against a repeated one, what a Login proves is the hook's to say", async () => {
  await using world = await startWorld();
  const options = { host: "127.0.0.1", port: world.settings.bindPort, runId: "r", metas: {}, timeoutMs: 5000 };
  await kick({ ...options, now: () => new Date(1000) });
  await kick({ ...options, now: () => new Date(1000) });
  expect(world.hook.logins.map((login) => login.timestamp)).toEqual([1, 1]);
});

it("a message that is no Login, no yamux, or longer than 10 kB ends its connection and nothing else", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
  await world.awaitVisit("a.tunnel.test", "app");
  const asked = world.hook.requests.length;
  for (const message of [
    { type: 0x70, content: { proxy_name: "stranger", proxy_type: "http", custom_domains: ["b.tunnel.test"] } },
    { type: 0x00, content: {} },
    { type: 0x6f, content: { metas: { token: "x".repeat(11_000) } } },
  ]) {
    using stream = openRawStream(world.settings.bindPort, message);
    await awaitFact("it has ended", () => stream.hasEnded());
    expect(stream.received()).toHaveLength(0);
  }
  using noise = openRawVisitor(world.settings.bindPort, ["\u0001\u0002\u0003 neither TLS nor yamux"]);
  await awaitFact("it has ended", () => noise.hasEnded());
  await observeStillness(
    "nobody asked the hook, and the tunnel lives",
    async () => {
      return world.hook.requests.length === asked && (await world.visit("a.tunnel.test")).body === "app";
    },
    { forMs: 200 },
  );
});
