#!/usr/bin/env node
/**
 * `npm test`: sets everything up, then format and lint, types, unused code, generated tables, every test with the real
 * binaries, and the search of all that they logged for the secrets that they used. Every stage runs even when one before it failed. Ends with `N passed, M failed`, the true total of tests and
 * of stages that are not tests. `npm test -- PATTERN …` runs only the tests whose file names hold a pattern.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

const patterns = process.argv.slice(2);
const times = [];
let passed = 0;
let failed = 0;

function stage(name, body) {
  process.stdout.write(`\n== ${name}\n`);
  const start = process.hrtime.bigint();
  body();
  times.push(`${name} ${(Number(process.hrtime.bigint() - start) / 1e9).toFixed(1)} s`);
}

function command(env, name, args) {
  const result = spawnSync(name, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"], shell: process.platform === "win32" });
  return result.status === 0;
}

function check(env, name, args) {
  stage([name, ...args].join(" "), () => {
    if (command(env, name, args)) passed += 1;
    else failed += 1;
  });
}

function tests(env) {
  const folder = mkdtempSync(join(tmpdir(), "keyhole-test-"));
  const report = join(folder, "report.json");
  const record = join(folder, "record");
  mkdirSync(record);
  stage("vitest run", () => {
    const isGreen = command({ ...env, TESTS_RECORD_DIR: record }, "vitest", [
      "run",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
      ...patterns,
    ]);
    let counts;
    try {
      counts = JSON.parse(readFileSync(report, "utf8"));
    } catch {
      counts = { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0 };
    }
    passed += counts.numPassedTests;
    // A test that did not run is not a test that passed.
    const lost = counts.numFailedTests + counts.numPendingTests + counts.numTodoTests;
    failed += lost > 0 || isGreen ? lost : 1;
    if (counts.numPassedTests === 0) failed += 1;
  });
  // What the tests logged holds no secret that they used. Of some tests alone there may be nothing to search.
  if (patterns.length === 0) check(env, "node", ["test/scan/run-scan.ts", record, "--whole"]);
  else if (readdirSync(record).some((name) => name.endsWith(".log"))) check(env, "node", ["test/scan/run-scan.ts", record]);
  rmSync(folder, { recursive: true, force: true });
}

try {
  let env = process.env;
  stage("set-up", () => {
    env = setUp().env;
  });
  if (patterns.length === 0) {
    check(env, "biome", ["ci", "--error-on-warnings", "."]);
    check(env, "tsc", []);
    check(env, "knip", []);
    check(env, "node", ["scripts/write-tables.ts", "--check"]);
  }
  tests(env);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  failed += 1;
}
process.stdout.write(`\n${times.join(" · ")}\n\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
