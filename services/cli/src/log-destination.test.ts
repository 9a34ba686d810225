import { spawnSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLogDestination } from "./log-destination.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function readAll(descriptor: number): string {
  const chunk = Buffer.alloc(65_536);
  let text = "";
  for (;;) {
    try {
      const length = readSync(descriptor, chunk);
      if (length === 0) return text;
      text += chunk.toString("latin1", 0, length);
    } catch {
      return text;
    }
  }
}

/** Numbered lines of a hundred bytes. */
const line = (number: number): string => `${String(number).padStart(8, "0")} ${"x".repeat(90)}\n`;

describe("a log destination", () => {
  it("writes to a file at once, in order", () => {
    const path = join(dir, "log");
    const destination = openLogDestination(openSync(path, "a"), () => {});
    for (let number = 0; number < 3; number += 1) destination.write(line(number));
    expect(readFileSync(path, "utf8")).toBe([0, 1, 2].map(line).join(""));
  });

  it("on a pipe that nobody reads never waits, keeps a bounded part whole and in order, and then tells what it dropped", () => {
    const path = join(dir, "pipe");
    spawnSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    const dropped: number[] = [];
    const destination = openLogDestination(writer, (lines) => dropped.push(lines));
    const many = 50_000;
    const startedAt = performance.now();
    for (let number = 0; number < many; number += 1) destination.write(line(number));
    expect(performance.now() - startedAt).toBeLessThan(5000);
    let heard = "";
    for (let round = 0; round < 20; round += 1) {
      heard += readAll(reader);
      destination.flush();
    }
    const numbers = heard
      .trimEnd()
      .split("\n")
      .map((one) => Number(one.slice(0, 8)));
    expect(numbers).toEqual(numbers.map((_, index) => index));
    expect(numbers.length).toBeLessThan(5000);
    expect(dropped).toEqual([many - numbers.length]);
    destination.write(line(7));
    expect(readAll(reader)).toBe(line(7));
    for (const descriptor of [reader, writer]) closeSync(descriptor);
  });

  it("on a full disk, and on a pipe whose reader is gone, throws nothing and goes on", () => {
    const path = join(dir, "pipe");
    spawnSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const gone = openSync(path, constants.O_WRONLY);
    closeSync(reader);
    for (const descriptor of [gone, openSync("/dev/full", "w")]) {
      const destination = openLogDestination(descriptor, () => {});
      for (let number = 0; number < 5000; number += 1) destination.write(line(number));
      destination.flush();
    }
  });
});
