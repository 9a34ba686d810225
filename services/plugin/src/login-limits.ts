/**
 * How often somebody may log in, register a proxy, or present what nobody signed. By identity only for what is proved, so
 * that nobody uses up what is another's; by the network that it comes from for what is not.
 */
import { createRateLimiter, deriveAddressPrefix, type Label, type RateDecision, type Refusal, refuse } from "@keyhole/core";
import type { Credential } from "./credential.ts";

/** The numbers. */
export type LimitSettings = {
  readonly loginsPerIdentityPerMinute: number;
  readonly proxiesPerIdentityPerMinute: number;
  /** Logins that are being decided at the same time. */
  readonly loginsInFlight: number;
  readonly failedProofsPerMinute: number;
};

/** Counts, and refuses with `RATE_LIMITED` when there is no more. */
export type LoginLimits = {
  /** Asked before a signature is looked at; counts nothing. `source` is `ip:port`. */
  judgeProof(source: string | undefined): Refusal | undefined;
  /** A signature was looked at, and was not its holder's. */
  countFailedProof(source: string | undefined): void;
  takeLogin(credential: Pick<Credential, "label" | "kind" | "issuedAt">): Refusal | undefined;
  takeProxy(label: Label): Refusal | undefined;
};

/** Makes the counters of one plugin. */
export function createLoginLimits(settings: LimitSettings, now: () => Date): LoginLimits {
  const perMinute = (count: number) => createRateLimiter({ count, perSeconds: 60 });
  const failedProofs = perMinute(settings.failedProofsPerMinute);
  const logins = perMinute(settings.loginsPerIdentityPerMinute);
  const proxies = perMinute(settings.proxiesPerIdentityPerMinute);
  return {
    judgeProof: (source) => judge(failedProofs.look(prefixOf(source), now())),
    countFailedProof: (source) => void failedProofs.take(prefixOf(source), now()),
    takeLogin: (credential) => judge(logins.take(keyOf(credential), now())),
    takeProxy: (label) => judge(proxies.take(label, now())),
  };
}

/** The refusal of whoever comes too often. */
export const refuseUntil = (retryAfterSeconds: number): Refusal => refuse("RATE_LIMITED", { retryAfterSeconds }).refusal;

const judge = ({ isAllowed, retryAfterSeconds }: RateDecision): Refusal | undefined =>
  isAllowed ? undefined : refuseUntil(retryAfterSeconds);

/** Tokens are counted one by one: whoever stole an old one uses up nothing of a new one. Of those there are only so many a minute. */
const keyOf = ({ label, kind, issuedAt }: Pick<Credential, "label" | "kind" | "issuedAt">): string =>
  kind === "hmac" || kind === "jwt" ? `${label} ${issuedAt.getTime()}` : label;

/** `ip:port`, `[ip]:port`, or nothing at all. */
const prefixOf = (source: string | undefined): string => deriveAddressPrefix((source ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
