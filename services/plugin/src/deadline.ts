/**
 * A deadline for calls that nearly always keep it. A timer for each would cost more than many of the calls: here one
 * clock ticks while any call is under way, and counts for all of them.
 */

/** A call that is being watched. */
type WatchedCall = {
  /** Says that it is over. */
  finish(): void;
  /** What it surely has left, in ms, on the clock that ends it. */
  leftMs(): number;
};

/** Watches calls: `expire` is called, once, when the time of one is up and nobody has said that it is over. */
export type Deadline = { start(expire: () => void): WatchedCall };

/** Every call gets at least `afterMs`, and at most a tenth more. */
export function createDeadline(afterMs: number): Deadline {
  const tickMs = afterMs / 20;
  /** In the order of their start, so the first is always the one that is due first. */
  const calls = new Map<object, { readonly dueTick: number; readonly expire: () => void }>();
  let tick = 0;
  let timer: NodeJS.Timeout | undefined;

  function onTick(): void {
    tick += 1;
    for (const [key, { dueTick, expire }] of calls) {
      if (dueTick > tick) break;
      calls.delete(key);
      expire();
    }
    if (calls.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    start(expire) {
      timer ??= setInterval(onTick, tickMs);
      const key = {};
      // The tick under way may end at once, so it does not count.
      const dueTick = tick + 21;
      calls.set(key, { dueTick, expire });
      return { finish: () => void calls.delete(key), leftMs: () => Math.max(0, (dueTick - tick - 1) * tickMs) };
    },
  };
}
