/**
 * The not-before of labels, as far as revocations were heard of in this process. A login reads the store and decides later:
 * whatever was revoked between the two is here, because it is noted before sessions are looked for.
 */
import type { Label } from "@keyhole/core";

const maxKnown = 100_000;

/** What was heard. */
export type NotBefores = {
  note(label: Label, notBefore: Date): void;
  /** The later of what was read and what was heard. */
  latest(label: Label, read: Date | undefined): Date | undefined;
};

/** Makes it, empty. What is forgotten is old: every login that was under way then is long over. */
export function createNotBefores(): NotBefores {
  const heard = new Map<Label, Date>();
  return {
    note(label, notBefore) {
      const former = heard.get(label);
      heard.delete(label);
      heard.set(label, former !== undefined && former > notBefore ? former : notBefore);
      if (heard.size > maxKnown) heard.delete(heard.keys().next().value ?? label);
    },
    latest(label, read) {
      const noted = heard.get(label);
      return noted === undefined || (read !== undefined && read > noted) ? read : noted;
    },
  };
}
