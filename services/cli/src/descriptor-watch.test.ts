import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { countDescriptors, type DescriptorCount, startDescriptorWatch } from "./descriptor-watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("says once that descriptors are scarce, and once that there are enough again, however they go up and down between", () => {
  const said: string[] = [];
  const say = (level: string) => (fields: object) => void said.push(`${level} ${JSON.stringify(fields)}`);
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const counts = [10, 89, 90, 100, 80, 95, 74, 10].map((open): DescriptorCount => ({ open, limit: 100 }));
  let at = 0;
  const found: (number | undefined)[] = [];
  using watch = startDescriptorWatch({ log, of: "frps", count: () => counts[at++] });
  for (let seconds = 0; seconds < 7; seconds += 1) {
    found.push(watch.scarce()?.open);
    vi.advanceTimersByTime(1000);
  }
  expect([...found, watch.scarce()]).toEqual([undefined, undefined, 90, 100, 80, 95, undefined, undefined]);
  expect(said).toEqual([
    'error {"event":"descriptors.scarce","of":"frps","open":90,"limit":100}',
    'info {"event":"descriptors.enough","of":"frps","open":74,"limit":100}',
  ]);
});

it("counts its own", () => {
  const found = countDescriptors("self");
  if (process.platform !== "linux") return expect(found).toBeUndefined();
  expect(found?.open).toBeGreaterThan(2);
  expect(found?.limit).toBeGreaterThan(found?.open ?? 0);
});

it("counts another process's, and of one that is gone it says nothing", () => {
  if (process.platform !== "linux") return expect(countDescriptors(process.pid)).toBeUndefined();
  expect(countDescriptors(process.pid)?.open).toBeGreaterThan(2);
  expect(countDescriptors(2 ** 22)).toBeUndefined();
});
