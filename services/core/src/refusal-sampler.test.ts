import fc from "fast-check";
import { expect, it } from "vitest";
import type { EventEntry } from "./event.ts";
import { createRefusalSampler } from "./refusal-sampler.ts";
import { type RefusalCode, refusalCodes } from "./refusals.ts";

const start = Date.parse("2026-11-22T12:00:00Z");
const at = (seconds: number): Date => new Date(start + seconds * 1000);
const words = (entries: readonly EventEntry[]): unknown[] =>
  entries.map(({ label, detail }) => [detail["code"], detail["more"] ?? 0, label]);
const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as NonNullable<EventEntry["label"]>;

it("tells the first of each code at once, with whose it was where that was proved, and then how many more", () => {
  const sampler = createRefusalSampler({ surface: "token" });
  expect(words(sampler.note("TOKEN_REVOKED", label, at(0)))).toEqual([["TOKEN_REVOKED", 0, label]]);
  expect(words(sampler.note("RATE_LIMITED", undefined, at(1)))).toEqual([["RATE_LIMITED", 0, undefined]]);
  for (let count = 0; count < 1000; count += 1) expect(sampler.note("RATE_LIMITED", undefined, at(2))).toEqual([]);
  expect(sampler.flush(at(60.9))).toEqual([]);
  expect(sampler.flush(at(61))).toEqual([
    { at: at(61), event: "refused", detail: { code: "RATE_LIMITED", surface: "token", more: 1000, since: at(1).toISOString() } },
  ]);
  expect(sampler.flush(at(62))).toEqual([]);
});

it("tells a minute that nobody flushed when the code comes again, and a code that was quiet counts as new", () => {
  const sampler = createRefusalSampler({ surface: "hook" });
  sampler.note("BUSY", undefined, at(0));
  sampler.note("BUSY", undefined, at(59));
  expect(words(sampler.note("BUSY", undefined, at(600)))).toEqual([
    ["BUSY", 1, undefined],
    ["BUSY", 0, undefined],
  ]);
  sampler.note("BUSY", undefined, at(601));
  expect(words(sampler.flush(at(660)))).toEqual([["BUSY", 1, undefined]]);
});

it("tells at the end what was not told yet, and nothing twice; a clock that is set back stops nothing", () => {
  const sampler = createRefusalSampler({ surface: "token" });
  sampler.note("BUSY", undefined, at(100));
  sampler.note("BUSY", undefined, at(101));
  expect(words(sampler.note("BUSY", undefined, at(10)))).toEqual([
    ["BUSY", 1, undefined],
    ["BUSY", 0, undefined],
  ]);
  sampler.note("BUSY", undefined, at(11));
  expect(words(sampler.drain(at(12)))).toEqual([["BUSY", 1, undefined]]);
  expect(sampler.drain(at(13))).toEqual([]);
});

it("costs two events an hour a code when a flood goes on for days, and every refusal is counted", () => {
  const sampler = createRefusalSampler({ surface: "token" });
  const entries: EventEntry[] = [];
  const days = 3;
  for (let second = 0; second < days * 86_400; second += 5) {
    entries.push(...sampler.note("NOT_FOUND", undefined, at(second)));
    if (second % 60 === 0) entries.push(...sampler.flush(at(second)));
  }
  entries.push(...sampler.drain(at(days * 86_400)));
  expect(entries.length).toBeLessThan(2 * (days * 24 + 7));
  expect(entries.reduce((sum, { detail }) => sum + Number(detail["more"] ?? 1), 0)).toBe((days * 86_400) / 5);
});

it("property: whatever comes, every refusal is told once, by at most two events a code and minute", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(refusalCodes.length - 1), fc.integer({ min: -30, max: 200 })), { maxLength: 300 }),
      fc.boolean(),
      (steps, isFlushed) => {
        const sampler = createRefusalSampler({ surface: "token" });
        const entries: EventEntry[] = [];
        let second = 0;
        for (const [pick, ahead] of steps) {
          second += ahead;
          entries.push(...sampler.note(refusalCodes[pick] as RefusalCode, undefined, at(second)));
          if (isFlushed) entries.push(...sampler.flush(at(second)));
        }
        entries.push(...sampler.drain(at(second)));
        expect(entries.reduce((sum, { detail }) => sum + Number(detail["more"] ?? 1), 0)).toBe(steps.length);
        const firsts = entries.filter(({ detail }) => detail["more"] === undefined);
        for (const [index, { at: when, detail }] of firsts.entries()) {
          const next = firsts.slice(index + 1).find((other) => other.detail["code"] === detail["code"]);
          const gap = next === undefined ? 60_000 : next.at.getTime() - when.getTime();
          expect(gap < 0 || gap >= 60_000).toBe(true);
        }
      },
    ),
  );
});
