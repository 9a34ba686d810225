#!/usr/bin/env node
/** The `keyhole` command from a checkout: sets everything up if need be, then runs `services/cli`. */
import { join } from "node:path";
import { root } from "./setup.mjs";
import { runPrepared } from "./with-node.mjs";

process.exitCode = await runPrepared("node", [
  "--disable-warning=ExperimentalWarning",
  join(root, "services", "cli", "src", "main.ts"),
  ...process.argv.slice(2),
]);
