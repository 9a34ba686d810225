/**
 * How much anybody may ask of the endpoints that take proofs. What is cheap to refuse is refused first: too many at once
 * for everybody, then too many from one address prefix, then too many wrong signatures from it, before another one is
 * checked. What an identity may have is counted only for who has proved to be it, so that nobody uses up another's.
 *
 * The headers are those of draft-ietf-httpapi-ratelimit-headers-10 (names are quoted strings). A limit that has not been
 * looked at yet is in the policy and not in `RateLimit`.
 */
import { createRateLimiter, type RateDecision } from "@keyhole/core";
import type { ToldRefusal } from "./answer.ts";
import type { TokenAppSettings } from "./token-app-deps.ts";

/** One request on its way past the limits. */
type LimitedRequest = {
  /** May it be read? Counts it for its address prefix. */
  enter(now: Date): ToldRefusal | undefined;
  /** Its signature was checked and is wrong. */
  countFailure(now: Date): void;
  /** May this identity, which has proved to be it, have one more of this? Counts it. */
  enterIdentity(key: string, now: Date): ToldRefusal | undefined;
  /** `RateLimit-Policy` and `RateLimit` as things stand. */
  headers(): Readonly<Record<string, string>>;
};

/** The limits of all endpoints that take proofs. */
export type RequestLimits = {
  /** A request from this address prefix. */
  begin(prefix: string): LimitedRequest;
  /** True while as many are worked on as may be. */
  isFull(): boolean;
  /** Works on one, which counts as long as it takes. */
  work<Value>(run: () => Promise<Value>): Promise<Value>;
};

type Name = "address" | "failed-proofs" | "identity";

/** Makes the limits, with everybody at rest. */
export function createRequestLimits(settings: TokenAppSettings["limits"]): RequestLimits {
  const perMinute = (count: number) => createRateLimiter({ count, perSeconds: 60 });
  const limiters = {
    address: perMinute(settings.requestsPerMinute),
    "failed-proofs": perMinute(settings.failedProofsPerMinute),
    identity: perMinute(settings.tokensPerMinute),
  };
  const policy = Object.entries(limiters)
    .map(([name, { limit }]) => `"${name}";q=${limit.count};w=${limit.perSeconds}`)
    .join(", ");
  let inFlight = 0;
  const isFull = () => inFlight >= settings.inFlight;

  function begin(prefix: string): LimitedRequest {
    const known = new Map<Name, RateDecision>();
    const decide = (name: Name, decision: RateDecision): ToldRefusal | undefined => {
      known.set(name, decision);
      if (decision.isAllowed) return undefined;
      return { code: "RATE_LIMITED", facts: { limit: name }, retryAfterSeconds: decision.retryAfterSeconds };
    };
    return {
      enter(now) {
        if (isFull()) {
          known.set("address", limiters.address.look(prefix, now));
          return { code: "BUSY" };
        }
        return (
          decide("address", limiters.address.take(prefix, now)) ?? decide("failed-proofs", limiters["failed-proofs"].look(prefix, now))
        );
      },
      countFailure(now) {
        known.set("failed-proofs", limiters["failed-proofs"].take(prefix, now));
      },
      enterIdentity: (key, now) => decide("identity", limiters.identity.take(key, now)),
      headers: () => ({
        "RateLimit-Policy": policy,
        RateLimit: [...known].map(([name, { remaining, resetSeconds }]) => `"${name}";r=${remaining};t=${resetSeconds}`).join(", "),
      }),
    };
  }

  return {
    begin,
    isFull,
    async work(run) {
      inFlight += 1;
      try {
        return await run();
      } finally {
        inFlight -= 1;
      }
    },
  };
}
