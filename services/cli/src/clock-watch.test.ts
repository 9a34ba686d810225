import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startClockWatch } from "./clock-watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const start = new Date("2026-11-22T12:00:00Z").getTime();

function watchFrom(until: Date | undefined) {
  const said: string[] = [];
  const say = (level: string) => (fields: object) => void said.push(`${level} ${JSON.stringify(fields)}`);
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  let at = start;
  const watch = startClockWatch({ now: () => new Date(at), until, log });
  const turn = (ms: number): number => {
    at += ms;
    vi.advanceTimersByTime(1000);
    return watch.behindMs();
  };
  return { said, watch, turn };
}

it("says once that the clock was set back, how far it is behind, and once that it is there again", () => {
  const { said, watch, turn } = watchFrom(undefined);
  using _watch = watch;
  expect([turn(1000), turn(-3_600_000), turn(1000), turn(3_598_000), turn(1000)]).toEqual([0, 3_600_000, 3_599_000, 0, 0]);
  expect(said).toEqual([
    'error {"event":"clock.behind","behindSeconds":3600,"was":"2026-11-22T12:00:01.000Z"}',
    'info {"event":"clock.caught-up"}',
  ]);
});

it("bears a clock that is stepped by two seconds, and one that is set forward", () => {
  const { said, watch, turn } = watchFrom(undefined);
  using _watch = watch;
  expect([turn(1000), turn(-2000), turn(86_400_000)]).toEqual([0, 0, 0]);
  expect(said).toEqual([]);
});

it("knows over a restart what the clock was", () => {
  const { said, watch, turn } = watchFrom(new Date(start + 86_400_000));
  using _watch = watch;
  expect(watch.behindMs()).toBe(86_400_000);
  expect(said).toEqual(['error {"event":"clock.behind","behindSeconds":86400,"was":"2026-11-23T12:00:00.000Z"}']);
  expect(turn(86_400_000)).toBe(0);
});
