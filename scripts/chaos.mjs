#!/usr/bin/env node
/** `npm run chaos`: sets everything up, then kills every process at random under load and reports what broke. Bounded by `--kills N` and `--minutes M`. */
import { join } from "node:path";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

process.exitCode = await runPrepared("node", [join(root, "test", "chaos", "chaos.ts"), ...process.argv.slice(2)]);
