#!/usr/bin/env node
/**
 * `npm run bench`: sets everything up, then measures on loopback. `--quick` measures less of everything, `--only NAME,NAME` a
 * part of it, and `--json FILE` writes the figures as JSON too.
 */
import { join } from "node:path";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

process.exitCode = await runPrepared("node", [join(root, "test", "load", "bench.ts"), ...process.argv.slice(2)]);
