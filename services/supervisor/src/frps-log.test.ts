import { spawn } from "node:child_process";
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openFrpsLog } from "./frps-log.ts";
import type { Log } from "./log.ts";

let folder: string;
let path: string;
let lines: { level: string; fields: object; message: string }[];

const log: Log = {
  debug: (fields, message) => lines.push({ level: "debug", fields, message }),
  info: (fields, message) => lines.push({ level: "info", fields, message }),
  warn: (fields, message) => lines.push({ level: "warn", fields, message }),
  error: (fields, message) => lines.push({ level: "error", fields, message }),
};
const now = () => new Date("2026-01-31T12:00:01.000Z");
const messages = () => lines.map((line) => line.message);
const line = (text: string, level = "I") => `2026-01-31 12:00:00.123 [${level}] [server/service.go:203] ${text}\n`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "frps-log-"));
  path = join(folder, "frps.log");
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

test("each line of frps becomes a line of ours, with its level and source, as it is written", async () => {
  await using output = await openFrpsLog({ path, log, now, pollMs: 5 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  appendFileSync(path, `${line("first")}${line("second", "W")}2026-01-31 12:00:00.123 [E] [a.go:1] thi`);
  await vi.waitFor(() => expect(messages()).toEqual(["first", "second"]));
  appendFileSync(path, "rd\n");
  await vi.waitFor(() => expect(messages()).toEqual(["first", "second", "third"]));
  expect(lines.map(({ level }) => level)).toEqual(["info", "warn", "error"]);
  expect(lines[0]?.fields).toEqual({ component: "frps", source: "server/service.go:203", at: "2026-01-31 12:00:00.123" });
  expect(output.lastWords(3, true)).toEqual(["second", "third"]);
});

test("9: no ticket of frps's output is in our log or in the last words", async () => {
  const ticket = "Zm9v".repeat(15).concat("abc");
  await using output = await openFrpsLog({ path, log, now, pollMs: 5 });
  appendFileSync(
    path,
    line(`[${ticket}] client login info: ip [127.0.0.1:1]`) + line(`no client control found for run id [${ticket}]`, "W"),
  );
  await output.drain();
  expect(messages()).toHaveLength(2);
  expect(JSON.stringify([lines, output.lastWords(9, true)])).not.toContain(ticket);
});

test("the file is cut when it has passed its limit, no line is lost, and who appends goes on appending", async () => {
  await using output = await openFrpsLog({ path, log, now, maxBytes: 1000, pollMs: 5 });
  const writer = openSync(path, "a");
  try {
    const expected: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      for (let n = 0; n < 30; n += 1) {
        expected.push(`line ${round}.${n}`);
        writeSync(writer, line(`line ${round}.${n}`));
      }
      await output.drain();
      expect(statSync(path).size).toBe(0);
    }
    expect(messages()).toEqual(expected);
    writeSync(writer, line("after"));
    expect(readFileSync(path, "utf8")).toBe(line("after"));
  } finally {
    closeSync(writer);
  }
});

test("the file is not cut within a line: half a line could not be redacted", async () => {
  await using output = await openFrpsLog({ path, log, now, maxBytes: 10, pollMs: 60_000 });
  appendFileSync(path, "2026-01-31 12:00:00.123 [I] [a.go:1] half");
  await output.drain();
  expect(statSync(path).size).toBeGreaterThan(10);
  appendFileSync(path, " and half\n");
  await output.drain();
  expect(messages()).toEqual(["half and half"]);
  expect(statSync(path).size).toBe(0);
});

test("a flood is counted beyond what one poll can handle, and its end still explains the end of frps", async () => {
  await using output = await openFrpsLog({ path, log, now, pollMs: 60_000 });
  appendFileSync(path, `${Array.from({ length: 5000 }, (_, index) => line(`noise ${index}`)).join("")}panic: out of memory\n`);
  await output.drain();
  expect(messages().slice(0, 2)).toEqual(["noise 0", "noise 1"]);
  expect(lines).toHaveLength(201);
  expect(lines.at(-1)).toMatchObject({ level: "warn", fields: { leftOut: 4801 } });
  expect(output.lastWords(3, false)).toEqual(["panic: out of memory"]);
  appendFileSync(path, line("later"));
  await output.drain();
  expect(messages().at(-1)).toBe("later");
});

test("who writes faster than can be read is not followed line by line, and does not fill the disk", async () => {
  await using output = await openFrpsLog({ path, log, now, maxBytes: 1024, pollMs: 60_000 });
  appendFileSync(path, line("x".repeat(200)).repeat(20_000));
  await output.drain();
  expect(lines[0]).toMatchObject({ level: "warn", message: expect.stringContaining("a part of it was left out") });
  expect(lines.length).toBeLessThan(210);
  expect(statSync(path).size).toBe(0);
  appendFileSync(path, line("later"));
  await output.drain();
  expect(messages().at(-1)).toBe("later");
});

test("a file that somebody else cut is read on from its new beginning", async () => {
  await using output = await openFrpsLog({ path, log, now, pollMs: 60_000 });
  appendFileSync(path, line("a long line, long enough that the next one is shorter"));
  await output.drain();
  truncateSync(path, 0);
  appendFileSync(path, line("new"));
  await output.drain();
  expect(messages().at(-1)).toBe("new");
});

test("a line without an end is left out once it is too long, and the next one is heard", async () => {
  await using output = await openFrpsLog({ path, log, now, pollMs: 60_000 });
  appendFileSync(path, `${"x".repeat(200_000)}\n${line("next")}`);
  await output.drain();
  expect(messages()).toHaveLength(2);
  expect(messages()[0]).toContain("left out");
  expect(messages()[1]).toBe("next");
});

test("a new run starts at the end of the file: what an earlier frps said is not said again", async () => {
  appendFileSync(path, line("old"));
  await using output = await openFrpsLog({ path, log, now, pollMs: 60_000 });
  await output.drain();
  appendFileSync(path, line("of the run before", "W"));
  await output.drain();
  await output.beginRun();
  appendFileSync(path, line("new", "W"));
  await output.drain();
  expect(messages()).toEqual(["of the run before", "new"]);
  expect(output.lastWords(3, true)).toEqual(["new"]);
});

test("a file that was removed is a new one for the next run", async () => {
  await using output = await openFrpsLog({ path, log, now, pollMs: 60_000 });
  rmSync(path);
  await output.beginRun();
  appendFileSync(path, line("new"));
  await output.drain();
  expect(messages()).toEqual(["new"]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("7: a run that is joined goes on: what it said before is known and not said again, the line that it is saying is", async () => {
  appendFileSync(path, `${line("x".repeat(70_000), "W")}${line("old", "W")}2026-01-31 12:00:00.123 [E] [a.go:1] be`);
  await using output = await openFrpsLog({ path, log, now, pollMs: 60_000 });
  await output.joinRun(process.pid);
  expect(output.lastWords(3, true)).toEqual(["old"]);
  appendFileSync(path, `gun\n${line("new", "W")}`);
  await output.drain();
  expect(messages()).toEqual(["begun", "new"]);
  expect(output.lastWords(9, true)).toEqual(["old", "begun", "new"]);
});

test("7: a run that writes to another file than ours is followed there, and a line says so once", async () => {
  const output = openSync(path, "a");
  const child = spawn("/bin/sh", ["-c", "read go; echo heard; read go"], { stdio: ["pipe", output, "ignore"] });
  closeSync(output);
  try {
    rmSync(path);
    await using followed = await openFrpsLog({ path, log, now, pollMs: 5 });
    await followed.joinRun(child.pid ?? 0);
    child.stdin?.write("\n");
    await vi.waitFor(() => expect(messages()).toEqual([expect.stringContaining(`no longer ${path}`), "heard"]));
    expect(lines[0]?.level).toBe("warn");
  } finally {
    child.kill("SIGKILL");
  }
});

test("of a panic the reason is kept, and not the end of its stack", async () => {
  await using output = await openFrpsLog({ path, log, now, pollMs: 60_000 });
  appendFileSync(path, `${line("hello")}panic: assignment to entry in nil map\n\n${"goroutine 7 [running]:\n".repeat(300)}`);
  await output.drain();
  expect(output.lastWords(3, true)).toEqual(["panic: assignment to entry in nil map"]);
});
