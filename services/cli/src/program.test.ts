/** The command line as a person meets it: what it says after a mistake, and that a mistake never prints a stack. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Fault } from "@keyhole/core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { nameConfigFile } from "./commands/process.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-program-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  spawnSync(process.execPath, [main, ...args], { cwd: dir, env: { PATH: process.env.PATH, ...env }, encoding: "utf8", timeout: 30_000 });

it.each([
  [["up", "--bogus"], "(keyhole up --help tells what there is)"],
  [["keys", "rotate", "--bogus"], "(keyhole keys rotate --help tells what there is)"],
  [["nope"], "(keyhole --help tells what there is)"],
])("names, after %j, the help of that command", (args, told) => {
  const { status, stderr } = run(args);
  expect([status, stderr]).toEqual([2, expect.stringContaining(told)]);
});

it("refuses a log level that there is not before anything starts, on one line and without a stack", () => {
  for (const args of [["up"], ["config", "check"]]) {
    const { status, stderr } = run(args, { KEYHOLE_LOG_LEVEL: "loud" });
    expect([status, stderr]).toEqual([78, expect.stringContaining("KEYHOLE_LOG_LEVEL: must be one of trace,")]);
    expect(stderr).not.toMatch(/^\s+at /m);
  }
});

it("tells in config check what is missing on disk beside every other problem", () => {
  writeFileSync(join(dir, "keyhole.toml"), 'version = 2\n[edge]\ncertFile = "gone.pem"\n');
  const { status, stderr } = run(["config", "check"]);
  expect(status).toBe(78);
  for (const told of [
    "version: must be 1",
    "edge.certFile, edge.keyFile: set both",
    `edge.certFile: there is no file ${join(dir, "gone.pem")}`,
  ])
    expect(stderr).toContain(told);
});

it("shows every setting in config show, those without a value as comments", () => {
  const { stdout } = run(["config", "show"]);
  expect(stdout).toContain("# edge.certFile is not set\n");
  expect(stdout).toContain("token.ttlSeconds = 86400\n");
  expect(JSON.parse(run(["config", "show", "--json"]).stdout)).not.toHaveProperty(["edge.certFile"]);
});

it("says where no Keyhole has ever been that none has, instead of telling that every part of one is down", () => {
  const { status, stdout, stderr } = run(["status"]);
  expect([status, stdout, stderr]).toEqual([1, "", expect.stringMatching(/There is no state directory .*--config/)]);
});

it.each([
  [["--help"], [0, 1, 2, 3, 4, 5, 78]],
  [
    ["block", "--help"],
    [0, 1, 2, 4, 5],
  ],
  [
    ["revoke", "--help"],
    [0, 1, 2, 4, 5],
  ],
  [
    ["unblock", "--help"],
    [0, 1, 2, 3, 4, 5],
  ],
  [
    ["sessions", "kick", "--help"],
    [0, 1, 2, 3, 4, 5],
  ],
])("tells in %j the exit codes that it may end with, and no other", (args, codes) => {
  const { stdout } = run(args);
  const told = stdout.slice(stdout.indexOf("Exit codes:")).match(/\b\d+(?= )/g);
  expect(told?.map(Number).sort((one, other) => one - other)).toEqual(codes);
});

it("tells the form of a time in the help of keys rotate", () => {
  expect(run(["keys", "rotate", "--help"]).stdout.replace(/\s+/g, " ")).toContain("as in 90m, 24h or 30d");
});

it("names the file of --config where a port is to be changed, and leaves every other fault alone", () => {
  const busy = new Fault("PORT_BUSY", "edge.listen: 127.0.0.1:1 is in use.\n  Stop that, or set it to another port in keyhole.toml.");
  expect(nameConfigFile(busy, { config: "my$&.toml" })).toMatchObject({
    code: "PORT_BUSY",
    message: expect.stringMatching(/another port in my\$&\.toml\.$/),
  });
  expect(nameConfigFile(busy, {})).toBe(busy);
  const other = new Fault("STATE_LOCKED", "keyhole.toml");
  expect(nameConfigFile(other, { config: "my.toml" })).toBe(other);
});
