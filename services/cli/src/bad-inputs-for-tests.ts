/** What the tests of an operator's bad inputs share: the public corpus of them, and the command line as a process. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** One bad input, in the corpus' words. */
type BadInput = { readonly id: string; readonly surface: string; readonly input: string; readonly expect: string };

const corpus = new URL("../../../test/vectors/bad-inputs.json", import.meta.url);

/** The bad inputs of an operator (surface d), in the order of the corpus. */
export const badInputs = (JSON.parse(readFileSync(corpus, "utf8")) as readonly BadInput[]).filter(({ id }) => id.startsWith("d"));

const main = fileURLToPath(new URL("main.ts", import.meta.url));

/** Runs the command line in a directory, with no variables but these, and returns when it has ended. */
export const runIn = (dir: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  spawnSync(process.execPath, [main, ...args], { cwd: dir, env: { PATH: process.env.PATH, ...env }, encoding: "utf8", timeout: 30_000 });
