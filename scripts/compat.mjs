#!/usr/bin/env node
/** `npm run compat`: sets everything up, builds the versions of frpc that people have, and serves each of them with a file as the real personal server writes it. */
import { join } from "node:path";
import { readFlags } from "./read-flags.mjs";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

const usage = `npm run compat [-- PATTERN …] [-t NAME]
  builds the versions of frpc that people have, and tests each of them; PATTERN: only these test files, -t: only the tests of this name`;

const { values, positionals } = readFlags("compat", usage, { name: { type: "string", short: "t" } }, { allowPositionals: true });
const chosen = [...positionals, ...(values.name === undefined ? [] : ["-t", values.name])];
const folder = join(root, "test", "compat");
const built = await runPrepared("node", [join(folder, "obtain-older-frpc.ts")]);
process.exitCode = built === 0 ? await runPrepared("vitest", ["run", "--config", join(folder, "vitest.config.ts"), ...chosen]) : built;
