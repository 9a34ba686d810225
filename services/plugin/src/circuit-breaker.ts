/**
 * Spares a service that fails, and whoever would wait for it: after so many failures in a row nobody is let through for a
 * while; then one is, to find out.
 */

/** Open: nobody passes. Half-open: one is finding out. */
export type BreakerState = "closed" | "open" | "half-open";

/** Asked before each call, told after it. */
export type CircuitBreaker = {
  /** False when the call is not to be made. Who is let through must say how it went. */
  pass(now: Date): boolean;
  succeed(): void;
  fail(now: Date): void;
  state(now: Date): BreakerState;
};

/** Makes a closed one. A clock that is set back does not keep it open for longer than `openMs`. */
export function createCircuitBreaker(settings: { readonly failures: number; readonly openMs: number }): CircuitBreaker {
  let failures = 0;
  let openedAt: number | undefined;
  let isProbing = false;
  const isResting = (now: Date): boolean => openedAt !== undefined && Math.abs(now.getTime() - openedAt) < settings.openMs;
  return {
    pass(now) {
      if (openedAt === undefined) return true;
      if (isProbing || isResting(now)) return false;
      isProbing = true;
      return true;
    },
    succeed() {
      failures = 0;
      openedAt = undefined;
      isProbing = false;
    },
    fail(now) {
      failures += 1;
      isProbing = false;
      if (failures >= settings.failures) openedAt = now.getTime();
    },
    state(now) {
      if (openedAt === undefined) return "closed";
      return isProbing || !isResting(now) ? "half-open" : "open";
    },
  };
}
