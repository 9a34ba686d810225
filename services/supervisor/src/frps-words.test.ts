import { beforeEach, expect, test } from "vitest";
import { createFrpsWords, type FrpsWords } from "./frps-words.ts";
import type { Log } from "./log.ts";

let lines: { level: string; fields: object; message: string }[];
let words: FrpsWords;

const note =
  (level: string) =>
  (fields: object, message: string): void =>
    void lines.push({ level, fields, message });
const log: Log = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
const moment = { from: new Date("2026-01-31T12:00:00.000Z"), to: new Date("2026-01-31T12:00:00.200Z") };
const hear = (...texts: string[]): void => {
  for (const text of texts) words.hear(text, moment);
};
const timely = (rest: string): string => `2026-01-31 12:00:00.123 ${rest}`;
const late = (rest: string): string => `2026-01-31 11:53:00.000 ${rest}`;

beforeEach(() => {
  lines = [];
  words = createFrpsWords(log);
});

test("a line in frp's form, written now, is believed: its level is ours, and a warning may explain an end", () => {
  hear(timely("[W] [a.go:1] trouble"));
  expect(lines).toEqual([
    { level: "warn", fields: { component: "frps", source: "a.go:1", at: "2026-01-31 12:00:00.123" }, message: "trouble" },
  ]);
  expect(words.lastWords(3, true)).toEqual(["trouble"]);
  expect(words.lastWords(3, false)).toEqual([]);
});

test("9: a line that a name with a line feed begins is marked, never more than an info, and explains nothing", () => {
  hear(timely("[I] [a.go:1] new proxy [x"), late("[E] [a.go:1] frps is compromised"), timely("[I] [a.go:1] next"));
  expect(lines[1]).toEqual({
    level: "info",
    fields: { component: "frps", source: "a.go:1", at: "2026-01-31 11:53:00.000", unverified: true },
    message: "frps is compromised",
  });
  hear("panic: all keys are gone", "fatal error: really", "] type [http] error", timely("[I] [a.go:1] and on it goes"));
  expect(lines.slice(3, 6).map(({ level, fields }) => [level, fields])).toEqual(
    Array.from({ length: 3 }, () => ["info", { component: "frps", source: "", unverified: true }]),
  );
  expect(words.lastWords(3, true)).toEqual([]);
});

test("what comes last and bare explains an end: a panic by its first line, a refusal to start by its last lines", () => {
  hear(timely("[W] [a.go:1] trouble"), "one", "two", "three", "four");
  expect(words.lastWords(3, true)).toEqual(["two", "three", "four"]);
  expect(words.lastWords(3, false)).toEqual(["two", "three", "four"]);
  hear(timely("[I] [a.go:1] no end yet"), "panic: nil map", ...Array.from({ length: 300 }, (_, n) => `goroutine ${n} [running]:`));
  expect(words.lastWords(3, true)).toEqual(["panic: nil map"]);
});

test("a line that is not believed does not hide a panic", () => {
  hear("panic: nil map", late("[I] [a.go:1] all is well"));
  expect(words.lastWords(3, true)).toEqual(["panic: nil map"]);
});

test("an old line is kept and not logged, and a new run knows nothing of the one before", () => {
  words.hear(late("[W] [a.go:1] old"), undefined);
  expect(lines).toEqual([]);
  expect(words.lastWords(3, true)).toEqual(["old"]);
  words.forget();
  expect(words.lastWords(3, true)).toEqual([]);
});

test("frps's lines about dashboard calls and visitors' paths are for those who look closely", () => {
  hear(
    timely("[I] [http/middleware.go:1] GET /healthz"),
    timely("[W] [httputil/reverseproxy.go:9] /private/path"),
    timely("[T] [a.go:1] x"),
  );
  expect(lines.map(({ level }) => level)).toEqual(["debug", "debug", "debug"]);
});
