#!/usr/bin/env node
/** `npm run race`: sets everything up, then has many clients race for few addresses, and judges who served. Bounded by `--operations N`. */
import { join } from "node:path";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

process.exitCode = await runPrepared("node", [join(root, "test", "race", "race.ts"), ...process.argv.slice(2)]);
