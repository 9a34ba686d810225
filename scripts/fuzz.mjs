#!/usr/bin/env node
/** `npm run fuzz`: sets everything up, then throws hostile input at every parser and door and reports what broke. */
import { join } from "node:path";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

process.exitCode = await runPrepared("node", [join(root, "test", "fuzz", "fuzz.ts"), ...process.argv.slice(2)]);
