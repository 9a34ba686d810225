/** The metrics of the real parts under what anybody may send them: which series there are does not depend on who came. */
import { createMetrics } from "@keyhole/cli";
import { type Label, parseLabel } from "@keyhole/core";
import { expect, it } from "vitest";
import { admitted, showOnDashboard, startHookBench } from "../support/hook-bench.ts";
import { domain, hostOf, live, offline, openHarness, visit } from "./edge-harness.ts";
import { startService } from "./token-harness.ts";

const labelAt = (at: number): Label => parseLabel(`0x${at.toString(16).padStart(40, "5")}`) as Label;
const seriesOf = (text: string): readonly string[] =>
  text
    .split("\n")
    .filter((line) => /^keyhole_(?!process_|nodejs_)/.test(line))
    .map((line) => line.replace(/ \S+$/, ""));

it("9: two hundred wallets, addresses and hostile names make no series that one did not make, and none of them is in the text", async () => {
  await using bench = await startHookBench();
  await using edge = await openHarness({ trustedProxies: ["127.0.0.0/8"] });
  await using service = await startService();
  const registry = createMetrics({
    version: "0",
    sources: {
      plugin: () => bench.plugin.stats(),
      edge: () => edge.edge.stats(),
      token: () => ({ ...service.app.stats(), verifications: new Map() }),
    },
  });
  /** What one stranger does, and one owner of a wallet. */
  const come = async (at: number): Promise<void> => {
    const label = labelAt(at);
    const address = `203.0.113.${at % 250}`;
    const client = admitted(await bench.login(label, await bench.buyToken(label), "", `${address}:${1000 + at}`));
    await bench.newProxy(client);
    await bench.revoke(label);
    await bench.plugin.enforceRevocations();
    await bench.login(label, `frp_${label}_${address}`, label, address);
    await bench.call(`Login${at}`, { label, address });
    await bench.raw({ path: `/${label}?op=${address}`, headers: { "X-Frp-Reqid": `${label}\u00e9` } });
    const headers = { "X-Forwarded-For": address, "X-Request-Id": label };
    await visit(edge.edge, hostOf(live), { headers, path: `/${label}` });
    await visit(edge.edge, hostOf(offline), { headers });
    await visit(edge.edge, `${label}.${address}`, { headers });
    await visit(edge.edge, `api.${domain}`, { headers, path: `/v1/${label}` });
    await fetch(`${service.url}/v1/tunnel/token`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ walletAddress: label, timestamp: at, signature: address }),
    });
  };
  await come(0);
  await new Promise(setImmediate);
  const first = seriesOf(await registry.metrics());
  for (let at = 1; at <= 200; at += 1) await come(at);
  await new Promise(setImmediate);
  const text = await registry.metrics();
  expect(seriesOf(text)).toEqual(first);
  expect(text).not.toMatch(/0x[0-9a-f]{4}|5{8}|203\.0\.113|127\.0\.0\.1|::|localhost/);
  expect(text).toMatch(/^keyhole_session_starts_total\{kind="hmac",mode="new",result="admitted"\} 201$/m);
  expect(text).toMatch(/^keyhole_evictions_total\{stage="blocked"\} 201$/m);
  expect(text).toMatch(/^keyhole_edge_requests_total\{class="tunnel",outcome="proxied"\} 201$/m);
  expect(text).toMatch(/^keyhole_edge_requests_total\{class="service",outcome="proxied"\} 201$/m);
  expect(text).toMatch(/^keyhole_edge_requests_total\{class="none",outcome="refused"\} 201$/m);
});

it("an eviction is timed at each stage that it reaches: a kick that fails is none", async () => {
  await using bench = await startHookBench();
  const counts = (): Record<string, number> =>
    Object.fromEntries(
      Object.entries(bench.plugin.stats().figures.evictions).map(([stage, { counts }]) => [
        stage,
        counts.reduce((sum, each) => sum + each),
      ]),
    );
  const evict = async (at: number): Promise<void> => {
    const label = labelAt(at);
    const client = admitted(await bench.login(label, await bench.buyToken(label)));
    await bench.newProxy(client);
    bench.frps = showOnDashboard([client]);
    await bench.revoke(label);
    await bench.plugin.enforceRevocations();
  };
  await evict(1);
  await expect.poll(counts).toMatchObject({ blocked: 1, cut: 1, kicked: 1, confirmed: 0 });
  bench.frps = { clients: [], proxies: [] };
  await expect.poll(counts).toMatchObject({ confirmed: 1 });
  bench.onKick = () => Promise.reject(new Error("frps is frozen"));
  await evict(2);
  await expect.poll(counts).toMatchObject({ blocked: 2, cut: 2, kicked: 1, confirmed: 1 });
  expect(Object.fromEntries(bench.plugin.stats().figures.ends)).toEqual({ evicted: 2 });
});
