#!/usr/bin/env node
/** `npm run compat`: sets everything up, builds the versions of frpc that people have, and serves each of them with a file as the real personal server writes it. */
import { join } from "node:path";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

const folder = join(root, "test", "compat");
const built = await runPrepared("node", [join(folder, "obtain-older-frpc.ts")]);
process.exitCode =
  built === 0 ? await runPrepared("vitest", ["run", "--config", join(folder, "vitest.config.ts"), ...process.argv.slice(2)]) : built;
