import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { countOwnDescriptors, type DescriptorCount, startDescriptorWatch } from "./descriptor-watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("says once that descriptors are scarce, and once that there are enough again, however they go up and down between", () => {
  const said: string[] = [];
  const say = (level: string) => (fields: object) => void said.push(`${level} ${JSON.stringify(fields)}`);
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const counts = [10, 89, 90, 100, 80, 95, 74, 10].map((open): DescriptorCount => ({ open, limit: 100 }));
  let at = 0;
  using _watch = startDescriptorWatch({ log, count: () => counts[at++] });
  vi.advanceTimersByTime(7000);
  expect(said).toEqual([
    'error {"event":"descriptors.scarce","open":90,"limit":100}',
    'info {"event":"descriptors.enough","open":74,"limit":100}',
  ]);
});

it("counts its own", () => {
  const found = countOwnDescriptors();
  if (process.platform !== "linux") return expect(found).toBeUndefined();
  expect(found?.open).toBeGreaterThan(2);
  expect(found?.limit).toBeGreaterThan(found?.open ?? 0);
});
