import { createHistogram, refusalCodes } from "@keyhole/core";
import { expect, it } from "vitest";
import { metricDefinitions } from "./metric-definitions.ts";
import type { MetricSources } from "./metric-sources.ts";
import { createMetrics } from "./metrics.ts";

const noTime = createHistogram([1]).read();
const evictions = {
  recorded: noTime,
  blocked: noTime,
  acknowledged: noTime,
  cut: noTime,
  kicked: noTime,
  confirmed: noTime,
  event: noTime,
};

/** A plugin that was told what somebody hostile would have it count. */
function pluginOf(words: readonly string[]): NonNullable<MetricSources["plugin"]> {
  const counts = new Map(words.map((word) => [word, 1]));
  return () => ({
    sessions: 3,
    connected: 2,
    refusals: counts as unknown as ReadonlyMap<never, number>,
    figures: {
      calls: counts,
      callSeconds: { Login: noTime, NewProxy: noTime, CloseProxy: noTime },
      starts: counts,
      ends: counts,
      verifications: counts,
      evictions,
    },
  });
}

const linesOf = async (sources: MetricSources): Promise<readonly string[]> => {
  const text = await createMetrics({ version: "0", sources }).metrics();
  return text.split("\n").filter((line) => /^keyhole_(?!process_|nodejs_)/.test(line));
};

it("refusals are counted by the codes of the catalogue and by no other name, so that nobody can fill the memory of whoever scrapes", async () => {
  const refusals = new Map([
    ["TOKEN_EXPIRED", 3],
    ["0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", 1],
    ["made up", 1],
  ]) as unknown as ReadonlyMap<never, number>;
  const lines = await linesOf({
    plugin: () => ({ ...pluginOf([])(), refusals }),
    token: () => ({ answers: { OK: 7, RATE_LIMITED: 2 }, verifications: new Map() }),
  });
  expect(lines.filter((line) => /^keyhole_(?:plugin_refusals|token_answers)_total/.test(line))).toEqual([
    'keyhole_plugin_refusals_total{code="TOKEN_EXPIRED"} 3',
    'keyhole_plugin_refusals_total{code="other"} 2',
    'keyhole_token_answers_total{code="OK"} 7',
    'keyhole_token_answers_total{code="RATE_LIMITED"} 2',
  ]);
});

it("9: no name that a label may not have is said, however many of them are counted, so that the series never grow", async () => {
  const hostile = Array.from({ length: 2000 }, (_, at) => `g${at} 203.0.113.${at} "}\n# HELP x ${refusalCodes[at % 5]}`);
  const few = await linesOf({ plugin: pluginOf(hostile.slice(0, 5)) });
  const many = await linesOf({ plugin: pluginOf(hostile) });
  const names = (lines: readonly string[]): readonly string[] => lines.map((line) => line.replace(/ \S+$/, ""));
  expect(names(many)).toEqual(names(few));
  expect(many.join("\n")).not.toMatch(/203\.0|g1|HELP x/);
  expect(many).toContain('keyhole_session_starts_total{kind="other",mode="other",result="other"} 2000');
});

it("a histogram is told as Prometheus reads it: each bucket with all that are smaller, the whole count without a bound, and the sum", async () => {
  const seconds = createHistogram([0.1, 1]);
  for (const each of [0.05, 0.5, 0.5, 7]) seconds.observe(each);
  const lines = await linesOf({ commits: () => ({ tokens: { seconds: seconds.read(), failures: 2 } }) });
  expect(lines).toEqual([
    expect.stringMatching(/^keyhole_build_info\{version="0",node="v\d+\.\d+\.\d+"\} 1$/),
    'keyhole_store_commit_seconds_bucket{file="tokens",le="0.1"} 1',
    'keyhole_store_commit_seconds_bucket{file="tokens",le="1"} 3',
    'keyhole_store_commit_seconds_bucket{file="tokens",le="+Inf"} 4',
    'keyhole_store_commit_seconds_sum{file="tokens"} 8.05',
    'keyhole_store_commit_seconds_count{file="tokens"} 4',
    'keyhole_store_commit_failures_total{file="tokens"} 2',
  ]);
});

it("what both the plugin and the token service verify is one metric, and a process says nothing about parts that it is not", async () => {
  const plugin = pluginOf(["eip191 valid"]);
  const token = () => ({ answers: {}, verifications: new Map([["eip191 valid", 4]]) });
  expect(await linesOf({ plugin, token })).toContain('keyhole_signature_verifications_total{scheme="eip191",result="valid"} 5');
  expect((await linesOf({ token })).join("\n")).not.toMatch(/keyhole_(?:sessions|plugin|edge|frps)/);
});

it("a source is asked once for a scrape, and again for the next one", async () => {
  let asked = 0;
  const read = pluginOf([]);
  const registry = createMetrics({
    version: "0",
    sources: {
      plugin: () => {
        asked += 1;
        return read();
      },
    },
  });
  await new Promise(setImmediate);
  asked = 0;
  await registry.metrics();
  expect(asked).toBe(1);
  await new Promise(setImmediate);
  await registry.metrics();
  expect(asked).toBe(2);
});

it("every metric is named as Prometheus wants it: totals end in _total and nothing else does, times are in seconds", () => {
  for (const { name, type, help } of metricDefinitions) {
    expect(name).toMatch(/^keyhole_[a-z][a-z_]*$/);
    expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
    // A gauge may be a time, and a number of something.
    if (type !== "gauge") expect([name, name.endsWith("_seconds")]).toEqual([name, type === "histogram"]);
    expect(help).toMatch(/\.$/);
  }
  expect(new Set(metricDefinitions.map(({ name }) => name)).size).toBe(metricDefinitions.length);
});
