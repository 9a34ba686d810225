import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { gatherLines } from "./gathered-lines.ts";

const log = fileURLToPath(new URL("./log.ts", import.meta.url));

/** What a process of its own leaves on standard error. */
function runLogging(script: string): { readonly messages: readonly string[]; readonly status: number | null } {
  const source = `import { createLog } from ${JSON.stringify(log)}; const log = createLog({ level: "info", isPretty: false }).component("x"); ${script}`;
  const { stderr, status } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], { encoding: "utf8" });
  const lines = stderr.split("\n").filter((line) => line.startsWith("{"));
  return { messages: lines.map((line) => (JSON.parse(line) as { msg: string }).msg), status };
}

test("lines of one turn of the event loop are one write, in their order, and nothing waits for a next event", async () => {
  const written: string[] = [];
  const lines = gatherLines((text) => written.push(text));
  lines.write("a\n");
  await Promise.resolve();
  lines.write("b\n");
  expect(written).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(written).toEqual(["a\nb\n"]);
  lines.write("c\n");
  lines.flush();
  lines.write("d\n");
  expect(written).toEqual(["a\nb\n", "c\n"]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(written).toEqual(["a\nb\n", "c\n", "d\n"]);
});

test("much that is said in one turn is not kept in memory until its end", () => {
  const written: string[] = [];
  const lines = gatherLines((text) => written.push(text));
  for (let index = 0; index < 100; index += 1) lines.write(`${"x".repeat(1000)}\n`);
  expect(written).toHaveLength(1);
});

test.each([
  ["process.exit", "process.exit(3)", 3],
  ["a fault that nobody caught", "throw new Error('nobody')", 1],
  ["a promise that nobody handled", "await Promise.reject(new Error('nobody'))", 1],
  ["running out of work", "", 0],
])("everything that was said before %s is in the log", (_name, end, status) => {
  const said = runLogging(`for (let i = 0; i < 50; i += 1) log.info({}, "line " + i); ${end}`);
  expect(said.messages).toEqual(Array.from({ length: 50 }, (_, index) => `line ${index}`));
  expect(said.status).toBe(status);
});

test("a warning is written at once, behind everything before it, even where the process is killed next", () => {
  const said = runLogging(
    `log.info({}, "before"); log.warn({}, "warning"); log.info({}, "between"); log.error({}, "error"); process.kill(process.pid, "SIGKILL");`,
  );
  expect(said.messages).toEqual(["before", "warning", "between", "error"]);
});
