/**
 * How much anybody may ask of the endpoints that take proofs. What is cheap to refuse is refused first: too many at once
 * for everybody, then too many from one address prefix, then too many wrong signatures from it, before another one is
 * checked. What an identity may have is counted only for who has proved to be it, so that nobody uses up another's.
 *
 * The headers are those of draft-ietf-httpapi-ratelimit-headers-10 (names are quoted strings). A limit that has not been
 * looked at yet is in the policy and not in `RateLimit`.
 */
import { createRateLimiter, type ProofPurpose, type RateDecision } from "@keyhole/core";
import type { ToldRefusal } from "./answer.ts";
import type { TokenAppSettings } from "./token-app-deps.ts";

/** One request on its way past the limits. */
type LimitedRequest = {
  /** May it be read? Counts it for its address prefix. */
  enter(now: Date): ToldRefusal | undefined;
  /** Its signature was checked and is wrong, or its proof was spent before. */
  countFailure(now: Date): void;
  /** May this identity, which has proved to be it, have one more? Counts nothing: a proof that is spent already is anybody's. */
  enterIdentity(label: string, now: Date): ToldRefusal | undefined;
  /** It got what it proved for. */
  countIdentity(label: string, now: Date): void;
  /** `RateLimit-Policy` and `RateLimit` as things stand. */
  headers(): Readonly<Record<string, string>>;
};

/** The limits of all endpoints that take proofs. */
export type RequestLimits = {
  /** A request from this address prefix. What fails at one purpose leaves the shares of the other: a revocation is not to wait for a neighbour's mistakes. */
  begin(prefix: string, purpose: ProofPurpose): LimitedRequest;
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

  function begin(prefix: string, purpose: ProofPurpose): LimitedRequest {
    const ofPurpose = `${purpose}:${prefix}`;
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
          decide("address", limiters.address.take(prefix, now)) ?? decide("failed-proofs", limiters["failed-proofs"].look(ofPurpose, now))
        );
      },
      countFailure(now) {
        known.set("failed-proofs", limiters["failed-proofs"].take(ofPurpose, now));
      },
      enterIdentity: (label, now) => decide("identity", limiters.identity.look(`${purpose}:${label}`, now)),
      countIdentity(label, now) {
        known.set("identity", limiters.identity.take(`${purpose}:${label}`, now));
      },
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
