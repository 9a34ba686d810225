/**
 * How often somebody may log in, register a proxy, or present what nobody signed. By identity only for what is proved, so
 * that nobody uses up what is another's; by the network that it comes from for what is not.
 */
import { createRateLimiter, deriveAddressPrefix, type RateDecision, type Refusal, refuse } from "@keyhole/core";
import type { Credential } from "./credential.ts";
import type { Session } from "./session-registry.ts";

/** The numbers. */
export type LimitSettings = {
  /** Of one credential; all of an identity's together have ten times as many. */
  readonly loginsPerIdentityPerMinute: number;
  /** Of one session. */
  readonly proxiesPerIdentityPerMinute: number;
  /** Logins that are being decided at the same time. */
  readonly loginsInFlight: number;
  readonly failedProofsPerMinute: number;
};

/** Counts, and refuses with `RATE_LIMITED` when there is no more. */
export type LoginLimits = {
  /** Asked before a signature is looked at; counts nothing. `source` is `ip:port`. */
  judgeProof(source: string | undefined): Refusal | undefined;
  /** A signature was looked at, and was not its holder's; or whoever signed has no right to the wallet. */
  countFailedProof(source: string | undefined): void;
  /** Only for whoever is proved to be the label's. */
  takeLogin(credential: Pick<Credential, "label" | "kind" | "issuedAt">): Refusal | undefined;
  /** For whoever is proved to be this address, and nothing more. */
  takeSigner(address: string): Refusal | undefined;
  takeProxy(session: Pick<Session, "label" | "generation">): Refusal | undefined;
};

/** What is stolen once is one credential, and must never use up what all of them have. */
const credentialsPerIdentity = 10;

/** Makes the counters of one plugin. */
export function createLoginLimits(settings: LimitSettings, now: () => Date): LoginLimits {
  const perMinute = (count: number) => createRateLimiter({ count, perSeconds: 60 });
  const failedProofs = perMinute(settings.failedProofsPerMinute);
  const logins = perMinute(settings.loginsPerIdentityPerMinute);
  const loginsOfLabel = perMinute(settings.loginsPerIdentityPerMinute * credentialsPerIdentity);
  const signers = perMinute(settings.loginsPerIdentityPerMinute);
  const proxies = perMinute(settings.proxiesPerIdentityPerMinute);
  return {
    judgeProof: (source) => judge(failedProofs.look(prefixOf(source), now())),
    countFailedProof: (source) => void failedProofs.take(prefixOf(source), now()),
    takeLogin: ({ label, kind, issuedAt }) =>
      judge(logins.take(`${label} ${kind} ${issuedAt.getTime()}`, now())) ?? judge(loginsOfLabel.take(label, now())),
    takeSigner: (address) => judge(signers.take(address, now())),
    takeProxy: ({ label, generation }) => judge(proxies.take(`${label} ${generation}`, now())),
  };
}

/** The refusal of whoever comes too often. */
export const refuseUntil = (retryAfterSeconds: number): Refusal => refuse("RATE_LIMITED", { retryAfterSeconds }).refusal;

const judge = ({ isAllowed, retryAfterSeconds }: RateDecision): Refusal | undefined =>
  isAllowed ? undefined : refuseUntil(retryAfterSeconds);

/** `ip:port`, `[ip]:port`, or nothing at all. */
const prefixOf = (source: string | undefined): string => deriveAddressPrefix((source ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
