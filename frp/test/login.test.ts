/** What frps and frpc do with the hook's answer to a Login. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { deriveLoginKey } from "../src/index.ts";
import { awaitFact } from "./support/await-fact.ts";
import { admit } from "./support/hook-server.ts";
import { startApp } from "./support/servers.ts";
import { startWorld, type World } from "./support/world.ts";

const ticket = `T${"-_aZ09".repeat(10)}xy`;
const loginsOf = (world: World, count: number) =>
  awaitFact(`${count} logins reach the hook`, () => world.hook.logins.length >= count && world.hook.logins, {
    seen: () => world.describe(),
  });

describe("a Login that the hook rewrites", () => {
  it("is honoured in run_id, user, metas and pool_count, and shows in every later question and in the dashboard", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({
      script: {
        login: (content) => admit(content, { run_id: ticket, user: "label", client_id: "", metas: { session: "s1" }, pool_count: 3 }),
      },
      configure: (config) => ({
        ...config,
        httpPlugins: config.httpPlugins.map((plugin) => ({ ...plugin, ops: [...plugin.ops, "NewWorkConn"] })),
      }),
    });
    const client = await world.startClient({
      name: "web",
      localPort: app.port,
      subdomain: "a",
      extra: { user: "mine", metadatas: { token: "t" } },
    });
    await world.awaitVisit("a.tunnel.test", "app");
    expect(world.hook.logins[0]).toMatchObject({ runId: "", user: "mine", metas: { token: "t" }, poolCount: 1, version: "0.71.0" });
    expect(world.hook.newProxies[0]).toMatchObject({
      user: { user: "label", metas: { session: "s1" }, runId: ticket },
      proxyName: "mine.web",
    });
    expect(await world.dashboard.readClients()).toEqual([{ runId: ticket, user: "label", isOnline: true, clientAddress: "127.0.0.1" }]);
    // Three connections are asked for at once; the visit took one, which is replaced.
    const pooled = world.hook.others.filter((other) => other.op === "NewWorkConn");
    expect(pooled.length).toBeGreaterThanOrEqual(3);
    expect(client.log()).toContain(ticket);
  });

  it("is honoured in privilege_key: the hook alone decides who passes frps's check", async () => {
    await using world = await startWorld({ script: { login: (content) => admit(content, { privilege_key: "0".repeat(32) }) } });
    const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    await awaitFact("frps refuses the key", () => client.log().includes("token in login doesn't match"), { seen: () => world.describe() });
  });

  it("may have a ticket of 63 characters as run_id; frps takes 64 and refuses 65", async () => {
    expect(ticket).toHaveLength(63);
    await using app = await startApp("app");
    await using world = await startWorld({ script: { login: (content) => admit(content, { run_id: `${ticket}x` }) } });
    const client = await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await world.awaitVisit("a.tunnel.test", "app");
    expect((await world.dashboard.readClients())[0]?.runId).toBe(`${ticket}x`);
    await client.stop();
    world.hook.script = { login: (content) => admit(content, { run_id: `${ticket}xy` }) };
    const refused = await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await awaitFact("frps refuses a longer run id", () => refused.log().includes("invalid run id"), { seen: () => world.describe() });
  });
});

describe("what a client sends", () => {
  it("its run_id is kept and sent again when the same process logs in again", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({
      script: { login: (content) => admit(content, content.runId === "" ? { run_id: ticket } : {}) },
    });
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await world.awaitVisit("a.tunnel.test", "app");
    await world.kick(ticket);
    const logins = await loginsOf(world, 3);
    expect(logins.map((login) => login.runId)).toEqual(["", ticket, ticket]);
    expect(logins.map((login) => login.metas["nonce"])).toEqual([undefined, "kick", undefined]);
    await world.awaitVisit("a.tunnel.test", "app");
  });

  it("after a restart of frps it comes back by itself, with its old run_id", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({
      script: { login: (content) => admit(content, content.runId === "" ? { run_id: ticket } : {}) },
    });
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await world.awaitVisit("a.tunnel.test", "app");
    await world.frps.stop("SIGKILL");
    await world.startFrps();
    await world.awaitVisit("a.tunnel.test", "app");
    expect(world.hook.logins.map((login) => login.runId)).toEqual(["", ticket]);
    expect((await world.dashboard.readClients()).map((client) => client.runId)).toEqual([ticket]);
    // frps died without a word: nobody was told that the proxy closed.
    expect(world.hook.closeProxies).toEqual([]);
  });

  it.each(["SIGKILL", "SIGTERM"] as const)(
    "its end by %s is told at once by CloseProxy, and not at all if it had no proxy",
    async (signal) => {
      await using app = await startApp("app");
      await using world = await startWorld({
        configure: (config) => ({ ...config, transport: { ...config.transport, tcpMuxKeepaliveInterval: 60 } }),
      });
      const client = await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
      await world.awaitVisit("a.tunnel.test", "app");
      world.hook.script = { newProxy: () => ({ kind: "refuse", reason: "NO: not you." }) };
      const idle = await world.startClient({ name: "other", localPort: app.port, subdomain: "b" });
      await awaitFact("the other one has no proxy", () => idle.log().includes("NO: not you."), { seen: () => world.describe() });
      await Promise.all([client.stop(signal), idle.stop(signal)]);
      // No keep-alive could have told it yet.
      await awaitFact("both are gone", async () => (await world.dashboard.readClients()).length === 0, { seen: () => world.describe() });
      await awaitFact("CloseProxy is asked", () => world.hook.closeProxies.length > 0, { seen: () => world.describe() });
      expect(world.hook.closeProxies.map(({ proxyName }) => proxyName)).toEqual(["web"]);
    },
  );

  it("and frps's own end by SIGTERM is told to nobody", async () => {
    await using app = await startApp("app");
    await using world = await startWorld();
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await world.awaitVisit("a.tunnel.test", "app");
    await world.frps.stop("SIGTERM");
    expect(world.hook.requests.map(({ url }) => url)).not.toContainEqual(expect.stringContaining("op=CloseProxy"));
  });

  it("a token in auth.token shows as a privilege_key that is not md5 of the timestamp, and cannot work even if admitted", async () => {
    await using world = await startWorld();
    const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a", extra: { auth: { token: "personal" } } });
    const [login] = await loginsOf(world, 2);
    expect(login?.privilegeKey).not.toBe(deriveLoginKey("", login?.timestamp ?? 0));
    expect(login?.privilegeKey).toBe(createHash("md5").update(`personal${login?.timestamp}`).digest("hex"));
    // The hook made it pass; the token is also the cipher's key, so frpc says "success" for ever and registers nothing.
    expect(client.log()).toContain("login to server success");
    expect(world.hook.newProxies).toEqual([]);
  });

  it("without auth.token its privilege_key is md5 of the timestamp", async () => {
    await using world = await startWorld();
    await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    const [login] = await loginsOf(world, 1);
    expect(login?.privilegeKey).toBe(deriveLoginKey("", login?.timestamp ?? 0));
  });
});

describe("answers that ours never are", () => {
  it("an empty reason is a success to frpc", async () => {
    await using world = await startWorld({ script: { login: () => ({ kind: "raw", body: '{"reject":true,"reject_reason":""}' }) } });
    const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    await awaitFact("frpc believes that it is in", () => client.log().includes("login to server success, get run id []"), {
      seen: () => world.describe(),
    });
  });

  it("a content of null kills frps", async () => {
    await using world = await startWorld({ script: { login: () => ({ kind: "raw", body: '{"unchange":false,"content":null}' }) } });
    await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    await awaitFact("frps is dead", () => world.frps.hasExited(), { seen: () => world.describe() });
    expect(world.frps.process.exitCode).toBe(2);
  });

  it("a reason of ours is printed by frpc to the letter", async () => {
    const reason = "TOKEN_EXPIRED: the tunnel token has expired. Sign again to get a new one.";
    await using world = await startWorld({ script: { login: () => ({ kind: "refuse", reason }) } });
    const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    await awaitFact("frpc prints the reason", () => client.log().includes(reason), { seen: () => world.describe() });
  });
});
