/**
 * frp.md §8 and §9: frps keeps idle connections to an app by the host *as registered*, its proxy's holder is no part of the
 * key, and nothing ends them when a proxy closes. So they can lead to the former holder of a host, but not when the host was
 * registered in a fresh letter case. Each way to lose a host stands here with both, so that the cure is seen to be needed.
 */
import { describe, expect, it } from "vitest";
import { awaitFact } from "./support/await-fact.ts";
import { admit, register } from "./support/hook-server.ts";
import { type ReloadableClient, startReloadableClient } from "./support/reloadable-client.ts";
import { startApp } from "./support/servers.ts";
import { startWorld, type World } from "./support/world.ts";

const ticket = "I".repeat(63);
const host = "a.tunnel.test";

type Row = {
  readonly title: string;
  readonly proxyName: string;
  readonly group?: string;
  lose(world: World, old: ReloadableClient): Promise<void>;
  readonly inSameCase: readonly [string, Record<string, unknown>];
};

const reload: Row["lose"] = async (_world, old) => old.reload([]);
const kick: Row["lose"] = (world) => world.kick(ticket);
const freezeAndKick: Row["lose"] = async (world, old) => {
  old.process.signal("SIGSTOP");
  await world.kick(ticket);
};
const requests = 50;
const toOld = ["all 50 requests reach the old app", { old: requests }] as const;
const toNew = ["all 50 requests reach the new app", { new: requests }] as const;
const inVain = ["the first ones wait in vain", { "504": expect.any(Number), new: expect.any(Number) }] as const;
const rows: readonly Row[] = [
  { title: "dropped by a reload, the next under another name", proxyName: "two", lose: reload, inSameCase: toOld },
  { title: "dropped by a reload, the next under the same name", proxyName: "one", lose: reload, inSameCase: toOld },
  { title: "dropped by a reload, each in a group of its own", proxyName: "one", group: "g", lose: reload, inSameCase: toOld },
  { title: "kicked, and refused when it came back", proxyName: "one", lose: kick, inSameCase: toNew },
  { title: "frozen and kicked", proxyName: "one", lose: freezeAndKick, inSameCase: inVain },
];

async function takeOver(row: Row, nextHost: string, vhostHttpTimeoutSeconds: number): Promise<Record<string, number>> {
  await using oldApp = await startApp("old", { delayMs: 100 });
  await using newApp = await startApp("new");
  let next = host;
  let groups = 0;
  await using world = await startWorld({
    settings: { vhostHttpTimeoutSeconds },
    script: {
      login: (content) => {
        if (content.metas["who"] === "new" || content.metas["nonce"] === "kick") return admit(content);
        return content.runId === "" ? admit(content, { run_id: ticket }) : { kind: "refuse", reason: "KICKED: stay out." };
      },
      newProxy: (content) => {
        groups += 1;
        return register(content, [next], row.group === undefined ? {} : { group: `${row.group}${groups}`, group_key: `${groups}` });
      },
    },
  });
  const old = await startReloadableClient(world, [{ name: "one", type: "http", localPort: oldApp.port, subdomain: "a" }]);
  await world.awaitVisit(host, "old");
  // As many idle connections as frps keeps.
  await Promise.all(Array.from({ length: 5 }, () => world.visit(host, "/slow")));
  await row.lose(world, old);
  await awaitFact("the old proxy is gone", async () => (await world.dashboard.readProxies()).length === 0, {
    seen: () => world.describe(),
  });
  next = nextHost;
  const proxies = [{ name: row.proxyName, type: "http", localPort: newApp.port, subdomain: "a" }];
  await world.startClient({ name: "", localPort: 1, subdomain: "", proxies, extra: { metadatas: { who: "new" } } });
  await awaitFact("the new proxy is up", async () => (await world.dashboard.readProxies()).length === 1, { seen: () => world.describe() });
  const counts: Record<string, number> = {};
  for (let request = 0; request < requests; request += 1) {
    const { status, body } = await world.visit(host);
    const seen = status === 200 ? body : String(status);
    counts[seen] = (counts[seen] ?? 0) + 1;
  }
  return counts;
}

describe("a host that changed hands", () => {
  const titled = rows.map((row) => [row.title, row.inSameCase[0], row] as const);

  it.each(titled)("%s: in the same letter case %s", async (_title, _seen, row) => {
    expect(await takeOver(row, host, row.inSameCase === inVain ? 1 : 5)).toEqual(row.inSameCase[1]);
  });

  it.each(titled)(
    "1: %s: in a fresh letter case not one request of 50 goes to its former holder, or waits for it",
    async (_title, _seen, row) => {
      expect(await takeOver(row, "A.tunnel.test", 5)).toEqual({ new: requests });
    },
  );
});

describe("a wildcard route beside the hosts", () => {
  it("answers for a host whose holder died, and still does so when the holder is back: so frps must have none", async () => {
    await using owner = await startApp("owner");
    await using fallback = await startApp("fallback");
    await using world = await startWorld({
      script: { newProxy: (content) => register(content, [content.subdomain === "any" ? "*" : host]) },
    });
    await world.startClient({ name: "fallback", localPort: fallback.port, subdomain: "any" });
    await world.awaitVisit("nobody.test", "fallback");
    const start = () => world.startClient({ name: "web", localPort: owner.port, subdomain: "a" });
    let client = await start();
    const isPoisoned = async (): Promise<boolean> => {
      await world.awaitVisit(host, "owner");
      let isUnderLoad = true;
      const load = Array.from({ length: 4 }, async () => {
        while (isUnderLoad) await world.visit(host).catch(() => {});
      });
      try {
        await client.stop();
        await world.awaitVisit(host, "fallback");
        client = await start();
        const isBack = async () => (await world.dashboard.readProxies()).length === 2;
        await awaitFact("the owner is back", isBack, { seen: () => world.describe() });
      } finally {
        isUnderLoad = false;
      }
      await Promise.all(load);
      const bodies = await Promise.all(Array.from({ length: 5 }, async () => (await world.visit(host)).body));
      return bodies.includes("fallback");
    };
    await awaitFact("the owner's visitors reach the fallback", isPoisoned, { withinMs: 60_000, seen: () => world.describe() });
  });
});
