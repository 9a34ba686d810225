/**
 * What set-up calls: `node frp/src/obtain-binaries.ts [cacheDir]`. Gets frps and frpc into the cache (default
 * `.cache/frp` of the checkout), prints one line a step, and exits with 0, or with 1 and the reason.
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { obtainBinaries } from "./binary.ts";
import { FrpFault } from "./fault.ts";

const cacheDir = process.argv[2] || fileURLToPath(new URL("../../.cache/frp", import.meta.url));

try {
  // biome-ignore lint/style/noProcessEnv: a program of its own; everything below gets the environment as a value.
  await obtainBinaries({ cacheDir, env: process.env, say: (line) => process.stdout.write(`${line}\n`) });
} catch (error) {
  if (!(error instanceof FrpFault)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 1;
}
