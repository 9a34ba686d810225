/**
 * A store in memory that decides as the real one does (`services/store` has the tests of the real one, and the contract
 * tests run on it). Nothing in production imports this file.
 */
import {
  type EventEntry,
  type Label,
  repeatSeconds,
  type TokenOrder,
  type TokenOutcome,
  type TokenRecord,
  type TokenStore,
} from "@keyhole/core";

const toSeconds = (at: Date): number => Math.floor(at.getTime() / 1000);
const fromSeconds = (seconds: number): Date => new Date(seconds * 1000);

/** The store, and what a test wants to look at. */
export type StoreForTests = TokenStore & {
  readonly orders: TokenOrder[];
  readonly records: TokenRecord[];
  readonly events: EventEntry[];
};

/** Remembers tokens, spent proofs and revocations for the length of a test. */
export function createStoreForTests(): StoreForTests {
  const orders: TokenOrder[] = [];
  const records: TokenRecord[] = [];
  const events: EventEntry[] = [];
  const spent = new Set<string>();
  const revoked = new Map<Label, number>();
  const proofsUntil = new Map<Label, number>();
  const revokeBefore = ({ label, provedAt, now }: Pick<TokenOrder, "label" | "provedAt" | "now">, notBefore: number): void => {
    revoked.set(label, notBefore);
    proofsUntil.set(label, Math.max(proofsUntil.get(label) ?? 0, toSeconds(provedAt), toSeconds(now) - 1));
  };
  const repeats = new Map<string, { requestHash: string; token: TokenRecord; keyId: string; until: number }>();
  const newest = (label: Label, kind?: string) =>
    records.filter((record) => record.label === label && (kind === undefined || record.kind === kind)).at(-1);
  const newestSeconds = (label: Label) => {
    const token = newest(label);
    return token === undefined ? Number.NEGATIVE_INFINITY : toSeconds(token.issuedAt);
  };

  function decideRepeat({ label, repeat, now }: TokenOrder): TokenOutcome | undefined {
    const former = repeat && repeats.get(`${label} ${repeat.keyHash}`);
    if (former === undefined || former.until < toSeconds(now)) return undefined;
    if (former.requestHash !== repeat?.requestHash) return { outcome: "key-reused" };
    if ((revoked.get(label) ?? 0) > toSeconds(former.token.issuedAt)) return { outcome: "revoked" };
    return { outcome: "repeated", token: former.token, keyId: former.keyId };
  }

  function decideOrder(order: TokenOrder): TokenOutcome {
    const { label, kind, keyId, repeat } = order;
    const now = toSeconds(order.now);
    const repeated = decideRepeat(order);
    if (repeated !== undefined) return repeated;
    if (spent.has(order.proofKey)) return { outcome: "proof-already-used" };
    const { operatorRevocation: ordered } = order;
    const until = Math.max(proofsUntil.get(label) ?? 0, ordered === undefined ? 0 : toSeconds(ordered.at));
    if (toSeconds(order.provedAt) <= until) return { outcome: "revoked" };
    const notBefore = Math.max(revoked.get(label) ?? now, ordered === undefined ? now : toSeconds(ordered.notBefore));
    const issuedAt = Math.max(now, notBefore, newestSeconds(label) + 1);
    if (issuedAt * 1000 > order.now.getTime() + 2000) return { outcome: "too-fast" };
    spent.add(order.proofKey);
    const token = { label, kind, issuedAt: fromSeconds(issuedAt), expiresAt: fromSeconds(issuedAt + order.ttlSeconds) };
    records.push(token);
    if (order.isExclusive) revokeBefore(order, issuedAt);
    if (repeat !== undefined) {
      repeats.set(`${label} ${repeat.keyHash}`, { requestHash: repeat.requestHash, token, keyId, until: now + repeatSeconds });
    }
    return { outcome: "recorded", token, keyId };
  }

  return {
    orders,
    records,
    events,
    findToken: async (label, kind, issuedAt) =>
      records.find((record) => record.label === label && record.kind === kind && record.issuedAt.getTime() === issuedAt.getTime()),
    newestToken: async (label, kind) => newest(label, kind),
    notBefore: async (label) => {
      const at = revoked.get(label);
      return at === undefined ? undefined : fromSeconds(at);
    },
    orderToken: async (order) => {
      orders.push(order);
      return decideOrder(order);
    },
    revoke: async (order) => {
      const { label, proofKey, now } = order;
      if (spent.has(proofKey)) return { outcome: "proof-already-used" };
      spent.add(proofKey);
      const notBefore = Math.max(revoked.get(label) ?? 0, toSeconds(now) + 1, newestSeconds(label) + 1);
      revokeBefore(order, notBefore);
      return { outcome: "revoked", notBefore: fromSeconds(notBefore) };
    },
    saveEvents: async (entries) => void events.push(...entries),
    check: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
