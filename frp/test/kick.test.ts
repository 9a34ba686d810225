/** Ending a session by a Login with its run id. */
import { describe, expect, it } from "vitest";
import { awaitFact } from "./support/await-fact.ts";
import { admit, type HookScript } from "./support/hook-server.ts";
import { startApp } from "./support/servers.ts";
import { startWorld, type World } from "./support/world.ts";

const ticket = "K".repeat(63);

/** The first login gets the ticket, a kick passes, and who was kicked is refused: as production does it. */
const script: HookScript = {
  login: (content) => {
    if (content.metas["nonce"] === "kick") return admit(content);
    return content.runId === ""
      ? admit(content, { run_id: ticket, user: "victim", metas: { session: "s1" } })
      : { kind: "refuse", reason: "KICKED: stay out." };
  },
};

/**
 * frpc that is up with the ticket. Nobody visits it before: a request that frps looked up just before the proxy was there, and
 * dialled just after, leaves a connection in its pool that no kick ends where there is no yamux session to end with.
 */
async function startVictim(world: World, port: number, transport: Record<string, boolean> = {}): Promise<void> {
  const client = await world.startClient({ name: "web", localPort: port, subdomain: "a", extra: { transport } });
  await awaitFact("frpc has its proxy", () => client.log().includes("start proxy success"), { seen: () => world.describe() });
  expect(await world.visit("a.tunnel.test")).toMatchObject({ status: 200, body: "app" });
}

describe("kick", () => {
  it.each([
    ["plain", { tcpMux: true }, {}],
    ["over TLS", { tcpMux: true }, { tls: { rejectUnauthorized: false } }],
    ["with tcpMux off", { tcpMux: false }, { tcpMux: false }],
    ["over TLS with tcpMux off", { tcpMux: false }, { tcpMux: false, tls: { rejectUnauthorized: false } }],
  ])("%s makes the host 404 by the time it resolves, and CloseProxy carries the victim's user", async (_name, transport, how) => {
    await using app = await startApp("app");
    await using world = await startWorld({
      script,
      configure: (config) => ({ ...config, transport: { ...config.transport, tcpMux: transport.tcpMux } }),
    });
    await startVictim(world, app.port, transport);
    await world.kick(ticket, how);
    expect((await world.visit("a.tunnel.test")).status).toBe(404);
    const closed = await awaitFact("CloseProxy reaches the hook", () => world.hook.closeProxies[0], { seen: () => world.describe() });
    expect(closed).toMatchObject({ user: { user: "victim", metas: { session: "s1" }, runId: ticket }, proxyName: "web" });
    await awaitFact("the dashboard has neither the victim nor the kick", async () => (await world.dashboard.readClients()).length === 0, {
      seen: async () => JSON.stringify(await world.dashboard.readClients()),
    });
    expect(await world.dashboard.readProxies()).toEqual([]);
  });

  it("of a run id that nobody has succeeds", async () => {
    await using world = await startWorld({ script });
    await world.kick("nobody");
  });

  it("without yamux is closed by a frps that has tcpMux", async () => {
    await using world = await startWorld({ script });
    await expect(world.kick(ticket, { tcpMux: false })).rejects.toMatchObject({ code: "KICK_FAILED" });
    expect(world.hook.logins).toEqual([]);
  });

  it("is a Login like any other to the hook, which knows it by its metas alone", async () => {
    await using world = await startWorld({ script });
    await world.kick("nobody");
    expect(world.hook.logins[0]).toMatchObject({ runId: "nobody", metas: { nonce: "kick" }, user: "", clientSpecType: "" });
    expect(world.hook.logins[0]?.clientAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it("that the hook refuses changes nothing and gives the hook's reason", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({ script });
    await startVictim(world, app.port);
    world.hook.script = { login: () => ({ kind: "refuse", reason: "NOT_OURS: no." }) };
    await expect(world.kick(ticket)).rejects.toMatchObject({ code: "KICK_FAILED", message: expect.stringContaining("NOT_OURS: no.") });
    await world.awaitVisit("a.tunnel.test", "app");
  });

  it("waits for the victim's running NewProxy call: a lock held across both would be a deadlock", async () => {
    await using app = await startApp("app");
    let answerNewProxy = (): void => {};
    const held = new Promise<void>((resolve) => {
      answerNewProxy = resolve;
    });
    await using world = await startWorld({
      script: {
        ...script,
        newProxy: async () => {
          await held;
          return { kind: "refuse", reason: "LATE: no." };
        },
      },
    });
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await awaitFact("NewProxy is asked", () => world.hook.newProxies.length > 0, { seen: () => world.describe() });
    let isDone = false;
    const kicked = world.kick(ticket).then(() => {
      isDone = true;
    });
    await awaitFact("the kick's Login reached the hook", () => world.hook.logins.some((login) => login.metas["nonce"] === "kick"));
    await world.visit("a.tunnel.test");
    expect(isDone).toBe(false);
    answerNewProxy();
    await kicked;
  });
});
