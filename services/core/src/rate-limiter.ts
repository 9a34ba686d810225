/**
 * How often somebody may do something: `count` times at once, and then as fast as `count` in `perSeconds` (the generic cell
 * rate algorithm, GCRA: one number a key). Bounded: the keys come from the public, so the one that was used longest ago
 * makes room, and who is forgotten has only waited for nothing.
 */

/** So many in so long. */
export type RateLimit = { readonly count: number; readonly perSeconds: number };

/** What is left after a question. Seconds are whole, rounded up. */
export type RateDecision = {
  readonly isAllowed: boolean;
  /** How many more are allowed right now. */
  readonly remaining: number;
  /** Until all of `count` are allowed again. */
  readonly resetSeconds: number;
  /** Until the next one is allowed; 0 when one is. */
  readonly retryAfterSeconds: number;
};

/** Counts by key. */
export type RateLimiter = {
  readonly limit: RateLimit;
  /** Asks for one, and counts it if it is allowed. What is refused costs nothing more. */
  take(key: string, now: Date): RateDecision;
  /** What `take` would say, without counting. */
  look(key: string, now: Date): RateDecision;
};

const defaultMaxKeys = 100_000;
/** Steps are fractions: what they add up to is right to the millionth. */
const rounding = 1e-6;

/**
 * Makes a limiter. A clock that is set back by more than `perSeconds` changes nothing for anybody: time goes on from where it
 * was. By less, nobody is locked out for longer than `perSeconds`.
 */
export function createRateLimiter(limit: RateLimit, maxKeys = defaultMaxKeys): RateLimiter {
  const periodMs = limit.perSeconds * 1000;
  const stepMs = periodMs / limit.count;
  /** When each key would have been idle, in ms: the later, the more it has used up. Least recently used first. */
  const idleAt = new Map<string, number>();
  let latest = Number.NEGATIVE_INFINITY;
  /** How far the clock was set back so far, in ms. */
  let lostMs = 0;

  /** What the clock would say if it had never been set back. A question may be a moment older than the one before it. */
  function readSteady(now: number): number {
    const isSetBack = now < latest - periodMs;
    if (isSetBack) lostMs += latest - now;
    latest = isSetBack ? now : Math.max(latest, now);
    return now + lostMs;
  }

  function describe(idle: number, now: number, isAllowed: boolean): RateDecision {
    const usedMs = idle - now;
    return {
      isAllowed,
      remaining: Math.max(0, Math.floor((periodMs - usedMs) / stepMs + rounding)),
      resetSeconds: Math.ceil(usedMs / 1000),
      retryAfterSeconds: isAllowed ? 0 : Math.max(1, Math.ceil((usedMs + stepMs - periodMs) / 1000)),
    };
  }

  function decide(key: string, at: number, isCounted: boolean): RateDecision {
    const now = readSteady(at);
    const known = idleAt.get(key);
    const idle = Math.min(Math.max(known ?? now, now), now + periodMs);
    if (known !== undefined && known > idle) idleAt.set(key, idle);
    const next = idle + stepMs;
    const isAllowed = next - now <= periodMs + rounding;
    if (!isCounted || !isAllowed) return describe(idle, now, isAllowed);
    // Set anew, it is the newest of the map.
    if (known !== undefined) idleAt.delete(key);
    idleAt.set(key, next);
    if (idleAt.size > maxKeys) idleAt.delete(idleAt.keys().next().value ?? key);
    return describe(next, now, true);
  }

  return { limit, take: (key, now) => decide(key, now.getTime(), true), look: (key, now) => decide(key, now.getTime(), false) };
}
