#!/usr/bin/env node
/**
 * Runs a command with everything set up: `node scripts/with-node.mjs biome check .` finds our Node and the workspace's
 * commands first. Signals reach the command, and its exit code is ours.
 */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { setUp } from "./setup.mjs";

/** Runs `command` in the prepared environment; `command` "node" is our own Node. Resolves to its exit code. */
export async function runPrepared(command, args) {
  let prepared;
  try {
    prepared = setUp();
  } catch (error) {
    process.stderr.write(`setup: ${error.message}\n`);
    return 1;
  }
  const child = spawn(command === "node" ? prepared.node : command, args, { env: prepared.env, stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself; we only have to live until it has stopped.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  return await new Promise((done) => {
    child.on("error", (error) => {
      process.stderr.write(`${command}: ${error.message}\n`);
      done(127);
    });
    child.on("exit", (code, signal) => done(code ?? (signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 1)));
  });
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [command, ...args] = process.argv.slice(2);
  if (command === undefined) {
    process.stderr.write("usage: node scripts/with-node.mjs COMMAND [ARGUMENT …]\n");
    process.exitCode = 2;
  } else {
    process.exitCode = await runPrepared(command, args);
  }
}
