/** The entry of the `keyhole` command. */
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

// What was compiled once is not compiled again: half of what a short command costs. Who may write there may change the
// sources too; where this user may not, everything is compiled as ever.
enableCompileCache(fileURLToPath(new URL("../../../.cache/node", import.meta.url)));
const [{ runProgram }, { createWorld }] = await Promise.all([import("./program.ts"), import("./world.ts")]);

process.exitCode = await runProgram(process.argv.slice(2), createWorld().version);
