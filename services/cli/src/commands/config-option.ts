/** Options that several commands take. */
import { Option } from "commander";
import { logLevels } from "../log-levels.ts";

/** Which configuration. */
export const configOption = (): Option =>
  new Option("-c, --config <file>", "configuration file (default: keyhole.toml here, else the built-in settings)");

/** How much is logged. */
export const logLevelOption = (description: string): Option => new Option("--log-level <level>", description).choices([...logLevels]);

/** For programs. */
export const jsonOption = (): Option => new Option("--json", "as JSON");
