import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  awaitRecordedEnd,
  endRecordedProcess,
  isRecordedAlive,
  parseProcessRecord,
  readProcessRecord,
  readStartTime,
  removeProcessRecord,
  writeProcessRecord,
} from "./process-record.ts";

let folder: string;
let path: string;
let children: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "process-record-"));
  path = join(folder, "frps.json");
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** A process of ours that waits; deaf, it ignores TERM. Resolves when it runs its own program. */
async function startChild(isDeaf = false): Promise<{ pid: number; ended: Promise<NodeJS.Signals | null> }> {
  const child = spawn("/bin/sh", ["-c", `${isDeaf ? "trap '' TERM;" : ""} echo up; exec /bin/sleep 3600`], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  children.push(child);
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { pid: child.pid ?? 0, ended };
}

const facts = { digest: "d", configHash: "c" };

test("what is written is read again, from a file that only its owner may read", async () => {
  const { pid } = await startChild();
  writeProcessRecord(path, { pid, ...facts });
  const record = readProcessRecord(path);
  expect(record).toEqual({ pid, startTime: readStartTime(pid), ...facts });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["frps.json"]);
  expect(record && isRecordedAlive(record)).toBe(true);
});

test("8: a recorded process that still lives is ended by TERM, and is gone when that is said", async () => {
  const { pid, ended } = await startChild();
  writeProcessRecord(path, { pid, ...facts });
  const announced: number[] = [];
  expect(await endRecordedProcess(path, { graceMs: 5000, onEnding: (ending) => announced.push(ending) })).toEqual({ kind: "ended", pid });
  expect(announced).toEqual([pid]);
  expect(readStartTime(pid)).toBeUndefined();
  expect(await ended).toBe("SIGTERM");
});

test("8: a recorded process that is deaf to TERM is killed after the grace", async () => {
  const { pid, ended } = await startChild(true);
  writeProcessRecord(path, { pid, ...facts });
  expect(await endRecordedProcess(path, { graceMs: 50 })).toEqual({ kind: "killed", pid });
  expect(await ended).toBe("SIGKILL");
});

test("a process with the recorded pid and another start time is left alone", async () => {
  const { pid } = await startChild();
  writeFileSync(path, JSON.stringify({ pid, startTime: "another boot/1", ...facts }));
  expect(await endRecordedProcess(path, { graceMs: 50 })).toBeUndefined();
  expect(readStartTime(pid)).toBeDefined();
});

test("a process whose start time was not known is left alone", async () => {
  const { pid } = await startChild();
  writeFileSync(path, JSON.stringify({ pid, startTime: "", ...facts }));
  expect(await endRecordedProcess(path, { graceMs: 50 })).toBeUndefined();
  expect(readStartTime(pid)).toBeDefined();
});

test("two processes that started one after the other have start times of their own, and the same one keeps its", async () => {
  const { pid } = await startChild();
  expect(readStartTime(pid)).toBe(readStartTime(pid));
  expect(readStartTime(pid)).not.toBe(readStartTime(process.pid));
});

test("the end of a recorded process is noticed, and the watching can be ended before", async () => {
  const { pid } = await startChild();
  writeProcessRecord(path, { pid, ...facts });
  const record = readProcessRecord(path);
  if (record === undefined) throw new Error("there is a record");
  const unwatched = new AbortController();
  const [forever, ended] = [
    awaitRecordedEnd(record, { pollMs: 5, signal: unwatched.signal }),
    awaitRecordedEnd(record, { pollMs: 5, signal: new AbortController().signal }),
  ];
  unwatched.abort();
  expect(await forever).toBe(false);
  process.kill(pid, "SIGKILL");
  expect(await ended).toBe(true);
  expect(await awaitRecordedEnd(record, { pollMs: 5, signal: unwatched.signal })).toBe(false);
});

test("a process that only has the recorded pid is not the watched one: the end is noticed at once", async () => {
  const { pid } = await startChild();
  const record = { pid, startTime: "another boot/1", ...facts };
  expect(await awaitRecordedEnd(record, { pollMs: 60_000, signal: new AbortController().signal })).toBe(true);
});

test("a missing, damaged or forgotten record ends nothing", async () => {
  expect(await endRecordedProcess(path, { graceMs: 50 })).toBeUndefined();
  writeFileSync(path, "{");
  expect(await endRecordedProcess(path, { graceMs: 50 })).toBeUndefined();
  removeProcessRecord(path);
  removeProcessRecord(path);
  expect(readProcessRecord(path)).toBeUndefined();
});

test("a damaged record never names a group of processes or init, whatever it holds", () => {
  for (const pid of [0, 1, -1, -4711, 1.5, "77", null, 2 ** 60]) {
    expect(parseProcessRecord(JSON.stringify({ pid, startTime: "s", ...facts }))).toBeUndefined();
  }
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => (parseProcessRecord(text)?.pid ?? 2) >= 2));
});
