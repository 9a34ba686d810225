/** A short run of `npm run race` with a fixed seed: who may serve, raced for by many clients, owners and operators. */
import { expect, it } from "vitest";
import { runRace } from "../race/run-race.ts";

it("2, 6, 12: a request that starts after a login, or an order, was answered is served by nobody whom that has put out", async () => {
  const said: string[] = [];
  const result = await runRace({
    seed: 7,
    operations: 900,
    wallets: 4,
    clients: 3,
    say: (line) => void said.push(line),
    signal: AbortSignal.timeout(60_000),
  });
  const story = JSON.stringify({ ...result, violations: result.violations.slice(0, 20) }, undefined, 1);
  expect(result.violations, story).toEqual([]);
  expect(result.operations).toBeGreaterThanOrEqual(900);
  // A race in which nobody ever served, or nothing was ever ordered, would prove nothing.
  expect(result.visits.served, story).toBeGreaterThan(300);
  expect(result.logins.admitted, story).toBeGreaterThan(100);
  for (const what of ["revoke", "owner-revoke", "kick", "block", "unblock"])
    expect([what, result.orders[what] ?? 0]).not.toEqual([what, 0]);
}, 120_000);
