/** What frps does with the hosts and headers that the hook writes into a NewProxy. */
import { describe, expect, it } from "vitest";
import { awaitFact } from "./support/await-fact.ts";
import { register } from "./support/hook-server.ts";
import { freePorts, startApp } from "./support/servers.ts";
import { startWorld } from "./support/world.ts";

describe("a NewProxy that the hook rewrites", () => {
  it("gets its custom_domains in the letter case of the hook, with subDomainHost unset, while routing ignores case", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({ script: { newProxy: (content) => register(content, ["ABC.TuNNeL.test"]) } });
    await world.startClient({ name: "web", localPort: app.port, subdomain: "whatever" });
    await world.awaitVisit("abc.tunnel.test", "app");
    expect((await world.visit("aBc.TUNNEL.test:7080")).body).toBe("app");
    expect(await world.dashboard.readProxies()).toEqual([
      { name: "web", user: "", clientId: world.hook.newProxies[0]?.user.runId, hosts: ["ABC.TuNNeL.test"], isOnline: true },
    ]);
    // The same host in another case is the same route: a second one is refused.
    const second = await world.startClient({ name: "other", localPort: app.port, subdomain: "x" });
    world.hook.script = { newProxy: (content) => register(content, ["abc.tunnel.test"]) };
    await awaitFact("the second is refused", () => second.log().includes("router config conflict"), { seen: () => world.describe() });
  });

  it("marks genuine answers by response_headers, and frps's own 404 has no mark", async () => {
    await using app = await startApp("app");
    const mark = { headers: { "X-Forwarded-Proto": "https" }, response_headers: { "x-mark": "m1" } };
    await using world = await startWorld({
      script: { newProxy: (content) => register(content, [`${content.subdomain}.tunnel.test`], mark) },
    });
    await world.startClient({ name: "up", localPort: app.port, subdomain: "up" });
    const [deadPort = 0] = await freePorts(1);
    await world.startClient({ name: "down", localPort: deadPort, subdomain: "down" });
    expect((await world.awaitVisit("up.tunnel.test", "app")).headers["x-mark"]).toBe("m1");
    await awaitFact("both are registered", async () => (await world.dashboard.readProxies()).length === 2, {
      seen: () => world.describe(),
    });
    for (const host of ["down.tunnel.test", "nobody.tunnel.test"]) {
      const answer = await world.visit(host);
      expect(answer.status).toBe(404);
      expect(answer.headers["x-mark"]).toBeUndefined();
      expect(answer.body).toContain("frp");
    }
  });

  it("reports proxies with a user by the name that frpc sends", async () => {
    await using app = await startApp("app");
    await using world = await startWorld();
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a", extra: { user: "label" } });
    await world.awaitVisit("a.tunnel.test", "app");
    expect((await world.dashboard.readProxies())[0]).toMatchObject({ name: "label.web", user: "label", hosts: ["a.tunnel.test"] });
  });
});
