#!/usr/bin/env node
/**
 * `npm run mutation`: sets everything up, then changes the code that decides who gets in, a bit at a time, and names what no unit test noticed.
 * `-- --only FILE` does it to one file. The report is `.cache/mutation/index.html`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readFlags, refuseUsage } from "./read-flags.mjs";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

const usage = `npm run mutation [-- --only FILE,FILE]
  changes the code that decides who gets in, a bit at a time (20 minutes and more); --only: these files alone, from the project's folder`;

const { values } = readFlags("mutation", usage, { only: { type: "string" } });
const wanted = values.only?.split(",") ?? [];
for (const file of wanted) if (!existsSync(join(root, file.replace(/:[0-9].*$/, "")))) refuseUsage("mutation", `there is no file ${file}`);
const only = wanted.length === 0 ? [] : ["--mutate", wanted.join(",")];
process.chdir(root);
process.exitCode = await runPrepared("stryker", ["run", join("scripts", "stryker.config.mjs"), ...only]);
