/**
 * Waits for a fact, never for a time. A fact that does not come true tells what was seen instead. Where the fact is that
 * nothing happens, it is watched all the while.
 */
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

/** Asks `isStill` again and again for `forMs`; it must be true every time. */
export async function observeStillness(
  fact: string,
  isStill: () => boolean | Promise<boolean>,
  options: { readonly forMs: number; readonly seen?: () => string },
): Promise<void> {
  const started = performance.now();
  while (performance.now() - started < options.forMs) {
    if (!(await isStill())) throw new Error(`true no longer: ${fact}\nseen:\n${options.seen?.() ?? "nothing"}`);
    await delay(20);
  }
}
