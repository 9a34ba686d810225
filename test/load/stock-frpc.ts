/** Stock frpc on a file, ours or a bare one: the same start for both. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Stage, StagedProcess } from "./stage.ts";

let clients = 0;

/** Writes the file into a folder of its own and runs stock frpc on it. */
export function startStockFrpc(stage: Stage, frpc: string, text: string): StagedProcess {
  clients += 1;
  const dir = join(stage.dir, `frpc-${clients}`);
  mkdirSync(dir);
  const file = join(dir, "frpc.toml");
  writeFileSync(file, text, { mode: 0o600 });
  return stage.start(frpc, ["-c", file], dir);
}

/** What frpc prints when its tunnel is registered. */
export const frpcIsUp = "start proxy success";
