/**
 * The not-before of labels, as far as revocations were heard of in this process. A login reads the store and decides later:
 * whatever was revoked between the two is here, because it is noted before sessions are looked for.
 */
import type { Label, OperatorRevocation } from "@keyhole/core";

const maxKnown = 100_000;

/** What was heard. */
export type NotBefores = {
  note(label: Label, notBefore: Date): void;
  /** An operator's, which this process itself has recorded: it is never forgotten. */
  order(label: Label, notBefore: Date): void;
  /** The latest of what was read, what was heard and what an operator ordered. */
  latest(label: Label, read: Date | undefined): Date | undefined;
};

/** Makes it. What was heard and is forgotten is old: every login that was under way then is long over. `ordered`: what operators revoked so far. */
export function createNotBefores(ordered: readonly OperatorRevocation[] = []): NotBefores {
  const heard = new Map<Label, Date>();
  const orders = new Map<Label, Date>(ordered.map(({ label, notBefore }) => [label, notBefore]));
  return {
    note(label, notBefore) {
      const former = heard.get(label);
      heard.delete(label);
      heard.set(label, former !== undefined && former > notBefore ? former : notBefore);
      if (heard.size > maxKnown) heard.delete(heard.keys().next().value ?? label);
    },
    order(label, notBefore) {
      orders.set(label, later(orders.get(label), notBefore) ?? notBefore);
    },
    latest: (label, read) => later(later(read, heard.get(label)), orders.get(label)),
  };
}

const later = (one: Date | undefined, other: Date | undefined): Date | undefined =>
  one === undefined || (other !== undefined && other > one) ? other : one;
