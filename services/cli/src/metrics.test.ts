import { expect, it } from "vitest";
import { createMetrics } from "./metrics.ts";

it("refusals are counted by the codes of the catalogue and by no other name, so that nobody can fill the memory of whoever scrapes", async () => {
  const registry = createMetrics({
    version: "0",
    plugin: () => ({
      sessions: 0,
      connected: 0,
      hookCalls: new Map(),
      refusals: new Map([
        ["TOKEN_EXPIRED", 3],
        ["0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", 1],
        ["made up", 1],
      ]),
    }),
    token: () => ({ answers: { OK: 7, RATE_LIMITED: 2 } }),
  });
  const text = await registry.metrics();
  expect(text.match(/^keyhole_(?:plugin_refusals|token_answers)_total.*$/gm)).toEqual([
    'keyhole_plugin_refusals_total{code="TOKEN_EXPIRED"} 3',
    'keyhole_plugin_refusals_total{code="other"} 2',
    'keyhole_token_answers_total{code="OK"} 7',
    'keyhole_token_answers_total{code="RATE_LIMITED"} 2',
  ]);
});
