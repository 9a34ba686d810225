/** What commands begin with that only read the state, beside whoever runs: nothing is made, moved or given another mode. */
import { loadConfig } from "../config/load-config.ts";
import type { Config } from "../config/settings.ts";
import { requireStateDirectory } from "../state/state-directory.ts";
import { createWorld, type World } from "../world.ts";

/** The configuration and the world of a command that reads. Throws when there is no state directory: a wrong one must not look empty. */
export function openReading(options: { readonly config?: string }): { readonly config: Config; readonly world: World } {
  const world = createWorld();
  // SQLite may have to make a file beside one that it reads.
  process.umask(0o007);
  const config = loadConfig({ file: options.config, cwd: world.env["INIT_CWD"] ?? process.cwd(), env: world.env });
  requireStateDirectory(config.stateDir);
  return { config, world };
}
