/** When the upkeep runs: at once and again and again until frps was looked at, then on its timers. */
import { setTimeout } from "node:timers/promises";
import type { EdgeWatch } from "./edge-watch.ts";
import type { Log } from "./log.ts";
import type { OperatorOrders } from "./operator-orders.ts";
import type { Revocations } from "./revocations.ts";
import type { Upkeep } from "./upkeep.ts";

/** How soon the first look is tried again, in ms: until it succeeds nobody is let in. */
const firstLookMs = 100;

/** Runs the passes; a pass that is still running is never started again. Disposing waits for what is running. */
export function startUpkeep(
  {
    upkeep,
    revocations,
    orders,
    edgeWatch,
  }: {
    readonly upkeep: Upkeep;
    readonly revocations: Revocations;
    readonly orders: Pick<OperatorOrders, "endPastBlocks">;
    readonly edgeWatch: EdgeWatch;
  },
  settings: { readonly reconcileMs: number; readonly log: Log },
): AsyncDisposable {
  const stop = new AbortController();
  const { signal } = stop;
  const attempt = async (pass: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await pass();
    } catch (cause) {
      settings.log.error({ cause: String(cause) }, "upkeep failed");
      return undefined;
    }
  };
  const pause = (ms: number): Promise<void> => setTimeout(ms, undefined, { signal }).catch(() => {});
  const repeat = async (everyMs: number, pass: () => Promise<unknown>): Promise<void> => {
    for (await pause(everyMs); !signal.aborted; await pause(everyMs)) await attempt(pass);
  };
  const look = async (): Promise<void> => {
    while (!signal.aborted && (await attempt(() => upkeep.reconcile())) !== true) await pause(firstLookMs);
    await repeat(settings.reconcileMs, () => upkeep.reconcile());
  };
  const listen = async (): Promise<void> => {
    await edgeWatch.ask();
    await repeat(1000, () => edgeWatch.ask());
  };
  const passes = [
    look(),
    repeat(1000, () => upkeep.enforceDeadlines()),
    repeat(1000, () => revocations.poll()),
    repeat(1000, () => orders.endPastBlocks()),
    listen(),
  ];
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(passes);
    },
  };
}
