/** Asks frps itself about a config: `frps verify -c`. A config that it does not accept never replaces a working one (invariant 8). */
import { bareEnvironment } from "./binary-platform.ts";
import { describeOutcome, run } from "./binary-run.ts";
import { FrpFault } from "./fault.ts";
import { redactFrpText } from "./log-line.ts";

/**
 * Resolves when frps accepts the config file. Throws `FRPS_CONFIG_REJECTED` with frps's own words. frps opens no port
 * and asks nobody for this: busy ports and a hook that is down are not noticed.
 */
export async function verifyFrpsConfig(frpsPath: string, configPath: string): Promise<void> {
  const outcome = await run(frpsPath, ["verify", "-c", configPath], { env: bareEnvironment({}), timeoutMs: 20_000 });
  if (outcome.kind === "exited" && outcome.status === 0) return;
  const words = outcome.kind === "not-started" ? "" : redactFrpText(outcome.output).slice(0, 1000);
  throw new FrpFault("FRPS_CONFIG_REJECTED", `frps does not accept ${configPath}: ${words === "" ? describeOutcome(outcome) : words}`);
}
