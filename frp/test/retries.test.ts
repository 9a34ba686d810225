/**
 * How long stock frp waits, and for whom. Each of these takes seconds, so they run side by side, each with a frps of its
 * own, and bounds are wide: what counts is which of two things comes first.
 */
import { describe, expect, it } from "vitest";
import { awaitFact, observeStillness } from "./support/await-fact.ts";
import { admit } from "./support/hook-server.ts";
import { startRelay } from "./support/relay.ts";
import { startApp } from "./support/servers.ts";
import { startWorld } from "./support/world.ts";

const ticket = "R".repeat(63);

describe.concurrent("who asks again, and when", () => {
  it("a refused Login is asked again within seconds, a refused NewProxy is not, unless the session is kicked", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({
      script: {
        login: (content) => {
          if (content.metas["nonce"] === "kick") return admit(content);
          if (content.user === "stranger") return { kind: "refuse", reason: "NOT_NOW: come back." };
          return admit(content, content.user === "kicked" && content.runId === "" ? { run_id: ticket } : {});
        },
        newProxy: () => ({ kind: "refuse", reason: "NOT_YET: the host is not free." }),
      },
    });
    const start = (name: string) => world.startClient({ name, localPort: app.port, subdomain: name, extra: { user: name } });
    const clients = [await start("stranger"), await start("waiting"), await start("kicked")];
    const asked = (user: string) => world.hook.newProxies.filter((proxy) => proxy.proxyName.startsWith(user)).length;
    const loginsOf = (user: string) => world.hook.logins.filter((login) => login.user === user).length;
    await awaitFact("both proxies are refused", () => asked("waiting") === 1 && asked("kicked") === 1, { seen: () => world.describe() });
    await awaitFact("the refused Login came three times", () => loginsOf("stranger") >= 3, { seen: () => world.describe() });
    await observeStillness("nobody asks for a refused proxy again", () => asked("waiting") === 1 && asked("kicked") === 1, {
      forMs: 5000,
      seen: () => world.describe(),
    });
    expect(clients.map((client) => client.hasExited())).toEqual([false, false, false]);
    expect(clients[1]?.log()).toContain("start error: NOT_YET: the host is not free.");

    world.hook.script = { login: (content) => admit(content) };
    await world.kick(ticket);
    await world.awaitVisit("kicked.tunnel.test", "app");
    // Back by the kick alone: whoever was not kicked still waits for its thirty seconds to pass.
    expect(asked("waiting")).toBe(1);
  });

  it("frpc by its default gives up when its first Login is refused or cannot be asked; with loginFailExit = false it goes on", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({ script: { login: () => ({ kind: "refuse", reason: "NOT_NOW: come back." }) } });
    const start = (name: string, loginFailExit: boolean) =>
      world.startClient({ name, localPort: app.port, subdomain: name, extra: { loginFailExit } });
    const stubborn = await start("one", false);
    const refused = await start("two", true);
    await awaitFact("frpc has given up", () => refused.hasExited(), { seen: () => world.describe() });
    await world.hook.pause();
    const unheard = await start("three", true);
    const patient = await start("four", false);
    await awaitFact("frpc has given up", () => unheard.hasExited(), { seen: () => world.describe() });
    await awaitFact("the other one has met the same", () => patient.log().includes("send Login request to plugin error"));
    expect([refused.process.exitCode, unheard.process.exitCode]).toEqual([1, 1]);
    world.hook.script = {};
    await world.hook.resume();
    await world.awaitVisit("one.tunnel.test", "app");
    await world.awaitVisit("four.tunnel.test", "app");
    expect([stubborn.hasExited(), patient.hasExited()]).toEqual([false, false]);
  });

  it("a hook that says nothing is waited for by frps without an end; frpc gives up after ten seconds and asks again", async () => {
    await using world = await startWorld({ script: { login: () => new Promise<never>(() => {}) } });
    const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    await awaitFact("the first call is there", () => world.hook.logins.length === 1, { seen: () => world.describe() });
    await observeStillness("frpc waits", () => world.hook.logins.length === 1, { forMs: 5000 });
    await awaitFact("frpc asks again", () => world.hook.logins.length === 2, { withinMs: 30_000, seen: () => world.describe() });
    expect(client.log()).toContain("i/o deadline reached");
    // Both calls are still open: frps has given up neither, not even the one whose client has gone.
    expect(world.hook.connections()).toHaveLength(2);
  });

  it("a client that falls silent is noticed by tcpMuxKeepaliveInterval of frps alone, in seconds, whatever the client has set", async () => {
    await using app = await startApp("app");
    await using world = await startWorld();
    await using relay = await startRelay(world.settings.bindPort);
    const extra = { serverPort: relay.port, transport: { tcpMuxKeepaliveInterval: 60 } };
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a", extra });
    await world.awaitVisit("a.tunnel.test", "app");
    relay.silence();
    // By default it would be up to 40 s: 30 between two questions, and 10 for the answer.
    await awaitFact("CloseProxy tells of it", () => world.hook.closeProxies.length === 1, {
      withinMs: 28_000,
      seen: () => world.describe(),
    });
    await awaitFact("nothing is left of it", async () => (await world.dashboard.readClients()).length === 0);
  });
});
