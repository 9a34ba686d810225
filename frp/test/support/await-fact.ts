/** Waits for a fact, never for a time. A fact that does not come true tells what was seen instead. */
import { setTimeout as delay } from "node:timers/promises";

/** Asks `probe` until it gives something other than undefined or false, at most `withinMs`. `seen` is printed on failure. */
export async function awaitFact<T>(
  fact: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: { readonly withinMs?: number; readonly seen?: () => string | Promise<string> } = {},
): Promise<T> {
  const withinMs = options.withinMs ?? 15_000;
  const started = performance.now();
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() - started > withinMs) {
      throw new Error(`not true within ${withinMs} ms: ${fact}\nseen:\n${(await options.seen?.()) ?? "nothing"}`);
    }
    await delay(10);
  }
}
