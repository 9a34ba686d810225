/** A short run of `npm run chaos` with a fixed seed: every kind of process killed with -9 under load, judged by the oracle. */
import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { renderViolation } from "../chaos/chaos-report.ts";
import { targets } from "../chaos/history.ts";
import { runChaos } from "../chaos/run-chaos.ts";

/** Its first rounds kill every kind of process. */
const seed = 812;

it("7, 2, 6: whatever is killed, everybody is back without help, no label is served by two, and no token is lost", async () => {
  const said: string[] = [];
  const result = await runChaos({
    seed,
    kills: 12,
    wallets: 3,
    minutes: 1,
    everyMs: 50,
    careless: 1,
    mostRestMs: 300,
    say: (line) => void said.push(line),
    signal: new AbortController().signal,
  });
  const story = [...result.violations.flatMap(renderViolation), ...said].join("\n");
  expect(result.violations.length, story).toBe(0);
  expect(
    targets.filter((target) => result.kills[target] === 0),
    story,
  ).toEqual([]);
  expect(Object.values(result.kills).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(10);
  expect(result.tokens.stored).toBe(result.tokens.acknowledged);
  expect(result.requests).toBeGreaterThan(500);
  expect(result.left).toEqual([]);
  expect(existsSync(said[0]?.split(" in ")[1] ?? "")).toBe(false);
});
