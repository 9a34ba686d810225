/**
 * Ready is a fact, not a pause: our child is alive, its dashboard answers /healthz with 200, and its vhost port accepts
 * connections. Races with the child's end and with the deadline (both abort). That it is *our* frps that answers is made
 * sure before: a start begins only when nobody else holds the ports.
 */
import { setTimeout as wait } from "node:timers/promises";
import { probeHealth } from "./probe-health.ts";
import { probeTcp } from "./probe-tcp.ts";

const pollMs = 20;
const answerTimeoutMs = 1_000;

/** Resolves true once all facts hold, false when aborted. `onMissing` hears what the last look lacked. */
export async function awaitReadiness(options: {
  vhostHttpPort: number;
  dashboardPort: number;
  signal: AbortSignal;
  onMissing(what: string): void;
}): Promise<boolean> {
  const { signal } = options;
  while (!signal.aborted) {
    const missing = await findMissing(options);
    if (signal.aborted) return false;
    if (missing === undefined) return true;
    options.onMissing(missing);
    await wait(pollMs, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

async function findMissing(options: { vhostHttpPort: number; dashboardPort: number; signal: AbortSignal }): Promise<string | undefined> {
  const isHealthy = await probeHealth(options.dashboardPort, AbortSignal.any([options.signal, AbortSignal.timeout(answerTimeoutMs)]));
  if (!isHealthy) return `its dashboard on 127.0.0.1:${options.dashboardPort} did not answer /healthz with 200`;
  // The vhost port is asked second: frps listens there before its dashboard answers.
  if ((await probeTcp(options.vhostHttpPort)) !== "accepts")
    return `its vhost port 127.0.0.1:${options.vhostHttpPort} accepted no connection`;
  return undefined;
}
