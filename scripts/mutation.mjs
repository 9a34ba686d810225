#!/usr/bin/env node
/**
 * `npm run mutation`: sets everything up, then changes the code that decides who gets in, a bit at a time, and names what no unit test noticed.
 * `-- --only FILE` does it to one file. The report is `.cache/mutation/index.html`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

const { values } = parseArgs({ options: { only: { type: "string", multiple: true, default: [] } } });
const only = values.only.length === 0 ? [] : ["--mutate", values.only.join(",")];
process.chdir(root);
process.exitCode = await runPrepared("stryker", ["run", join("scripts", "stryker.config.mjs"), ...only]);
