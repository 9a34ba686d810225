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

/** Makes a closed one. */
export function createCircuitBreaker(settings: { readonly failures: number; readonly openMs: number }): CircuitBreaker {
  let failures = 0;
  let openUntil: number | undefined;
  let isProbing = false;
  return {
    pass(now) {
      if (openUntil === undefined) return true;
      if (isProbing || now.getTime() < openUntil) return false;
      isProbing = true;
      return true;
    },
    succeed() {
      failures = 0;
      openUntil = undefined;
      isProbing = false;
    },
    fail(now) {
      failures += 1;
      isProbing = false;
      if (failures >= settings.failures) openUntil = now.getTime() + settings.openMs;
    },
    state(now) {
      if (openUntil === undefined) return "closed";
      return isProbing || now.getTime() >= openUntil ? "half-open" : "open";
    },
  };
}
