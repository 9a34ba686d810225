/** A thousand tunnels die and nobody says so: every CloseProxy is lost, and the dashboard alone knows. */
import { type Label, parseLabel } from "@keyhole/core";
import { expect, it } from "vitest";
import { admitted, alice, type BenchClient, showOnDashboard, startHookBench } from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

const many = 1000;
const labels = Array.from(
  { length: many },
  (_, index) => parseLabel(`${alice.slice(0, -4)}${index.toString(16).padStart(4, "0")}`) as Label,
);

it("11: of a thousand lost CloseProxies every label is offline after the next look at the dashboard, and whoever lives is left alone", async () => {
  await using bench = await startHookBench();
  const clients: BenchClient[] = [];
  for (const label of labels) {
    const client = admitted(await bench.login(label, await bench.buyToken(label)));
    await bench.newProxy(client);
    clients.push(client);
  }
  const living = clients.slice(0, 10);
  const dead = clients.slice(10);
  bench.frps = showOnDashboard(clients);
  bench.now = new Date(bench.now.getTime() + 2000);
  await bench.plugin.reconcile();
  expect(bench.plugin.stats()).toMatchObject({ sessions: many, connected: many });

  bench.frps = showOnDashboard(living);
  bench.now = new Date(bench.now.getTime() + 2000);
  const startedAt = performance.now();
  await bench.plugin.reconcile();
  expect(bench.plugin.stats()).toMatchObject({ sessions: living.length, connected: living.length });
  for (const { label } of dead) expect(await bench.plugin.readStatus(label)).toMatchObject({ status: "disconnected", stale: false });
  for (const { label } of living) expect(await bench.plugin.readStatus(label)).toMatchObject({ status: "connected", routable: true });
  const deletes = (): number => bench.doorCalls.filter((call) => call.startsWith("delete ")).length;
  await waitForFact("the edge is told of every one", () => (deletes() === dead.length ? true : undefined));
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  // A CloseProxy that was only late finds nobody to close.
  for (const client of dead) await bench.closeProxy(client);
  expect(deletes()).toBe(dead.length);
});
