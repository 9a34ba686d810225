/** What a login with a credential would be told now, and everything that this rests on: what the plugin would look at, read from the files. */
import {
  type Block,
  decideAdmission,
  deriveUnrecordedEnd,
  isRevoked,
  isSelfSigned,
  latest,
  type Refusal,
  type SessionReader,
  type TokenReader,
} from "@keyhole/core";
import type { FoundCredential } from "./find-credential.ts";
import { type InspectKeys, type ProvedCredential, proveFound } from "./prove-found.ts";

/** What was found out. */
export type Inspection = {
  readonly kind: FoundCredential["kind"];
  /** Undefined when nobody can be believed to have made it. */
  readonly proved: ProvedCredential | undefined;
  /** Known once it is proved. */
  readonly standing: CredentialStanding | undefined;
  /** What a login would be refused with; undefined: it would be let in. */
  readonly refusal: Refusal | undefined;
};

/** What is recorded about it. */
type CredentialStanding = {
  readonly endsAt: Date;
  /** Whether its token was recorded when it was made; undefined for what its holder signs alone. */
  readonly isRecorded: boolean | undefined;
  readonly isRevoked: boolean;
  /** What was issued before is revoked: by the owner or a restore, and by an operator. */
  readonly ownerNotBefore: Date | undefined;
  readonly operatorNotBefore: Date | undefined;
  readonly block: Block | undefined;
  /** Sessions of the label that sessions.db says are living. */
  readonly living: number;
};

/** Inspects. Rejects with `STORE_UNAVAILABLE` when a file cannot be read. */
export async function inspectCredential(
  found: FoundCredential,
  deps: {
    readonly keys: InspectKeys;
    readonly tokens: TokenReader;
    readonly sessions: SessionReader;
    readonly ttlSeconds: number;
    readonly now: Date;
  },
): Promise<Inspection> {
  const { keys, tokens, sessions, ttlSeconds, now } = deps;
  const proof = proveFound(found, keys, now);
  if (!proof.granted) return { kind: found.kind, proved: undefined, standing: undefined, refusal: proof.refusal };
  const proved = proof.value;
  const { label, kind, issuedAt } = proved;
  const [{ recorded, newest, notBefore: ownerNotBefore }, decided, newestIssuedAt, rows] = await Promise.all([
    tokens.readCredential(label, kind, issuedAt),
    sessions.standing(label),
    isSelfSigned(kind) ? sessions.newestIssuedAt(label, kind) : undefined,
    sessions.sessionsOf(label, 40),
  ]);
  const operatorNotBefore = decided.revocation?.notBefore;
  const notBefore = latest(ownerNotBefore, operatorNotBefore);
  const block = decided.block?.endsAt === undefined || decided.block.endsAt > now ? decided.block : undefined;
  const endsAt = proved.endsAt ?? recorded?.expiresAt ?? deriveUnrecordedEnd(issuedAt, ttlSeconds);
  const living = rows.filter(({ closedAt }) => closedAt === undefined);
  const verdict = decideAdmission({
    now,
    isBlocked: block !== undefined,
    credential: { kind, issuedAt, endsAt },
    notBefore,
    newest,
    newestIssuedAt,
    ticket: undefined,
    recordedIssuedAt: undefined,
    living,
    highestGeneration: rows[0]?.generation ?? 0,
  });
  return {
    kind: found.kind,
    proved,
    standing: {
      endsAt,
      isRecorded: isSelfSigned(kind) ? undefined : recorded !== undefined,
      isRevoked: isRevoked({ kind, issuedAt }, notBefore),
      ownerNotBefore,
      operatorNotBefore,
      block,
      living: living.length,
    },
    // The plugin reads its form, and so its time, first.
    refusal: proved.untimely ?? (verdict.granted ? undefined : verdict.refusal),
  };
}
