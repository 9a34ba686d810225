/**
 * What visitors' requests have shown of each live label: that its app answers, or how it failed. Only changes are kept for
 * the plugin to ask for, and a request that is answered like the one before it costs a look-up and a comparison. What was
 * begun before a label was put again says nothing about who serves it now.
 */
import type { EdgeEvidence, EdgeFailure, EvidenceReport, Label } from "@keyhole/core";

/** What was seen of one label while it was live for one session. */
export type Witness = {
  readonly label: Label;
  seen: "nothing" | "answer" | EdgeFailure;
  at: number;
  sequence: number;
};

export type LabelEvidence = {
  /** Before an attempt: what its outcome is to be written to. */
  witness(label: Label): Witness;
  answered(witness: Witness): void;
  failed(witness: Witness, failure: EdgeFailure): void;
  /** What was seen so far says nothing any more: it is live for another session, or for none. */
  forget(label: Label): void;
  /** Forgets every other label. */
  keepOnly(labels: ReadonlySet<Label>): void;
  /** What changed after the report with this cursor; what was told up to it is not told again. */
  read(cursor: string | undefined): EvidenceReport;
};

const maxReported = 1000;

/** `epoch` tells this edge's cursors from those of the one before it. */
export function createLabelEvidence({ now, epoch }: { readonly now: () => Date; readonly epoch: string }): LabelEvidence {
  const witnesses = new Map<Label, Witness>();
  /** Those that changed and were not yet told for sure, in the order of their sequence. */
  const changed = new Map<Label, Witness>();
  let sequence = 0;

  function note(witness: Witness): void {
    if (witnesses.get(witness.label) !== witness) return;
    sequence += 1;
    witness.sequence = sequence;
    witness.at = now().getTime();
    changed.delete(witness.label);
    changed.set(witness.label, witness);
  }

  const forget = (label: Label): void => {
    witnesses.delete(label);
    changed.delete(label);
  };

  return {
    witness(label) {
      const known = witnesses.get(label);
      if (known !== undefined) return known;
      const witness: Witness = { label, seen: "nothing", at: 0, sequence: 0 };
      witnesses.set(label, witness);
      return witness;
    },
    answered(witness) {
      if (witness.seen === "answer") return;
      witness.seen = "answer";
      note(witness);
    },
    failed(witness, failure) {
      witness.seen = failure;
      note(witness);
    },
    forget,
    keepOnly(labels) {
      for (const label of [...witnesses.keys()]) if (!labels.has(label)) forget(label);
    },
    read(cursor) {
      const told = readCursor(cursor, epoch);
      const evidence: EdgeEvidence[] = [];
      let last = told;
      for (const witness of changed.values()) {
        if (witness.sequence <= told) changed.delete(witness.label);
        else if (evidence.length === maxReported) return { cursor: `${epoch} ${last}`, evidence, isMore: true };
        else {
          const failure = witness.seen === "answer" || witness.seen === "nothing" ? undefined : witness.seen;
          evidence.push({ label: witness.label, at: new Date(witness.at), failure });
          last = witness.sequence;
        }
      }
      return { cursor: `${epoch} ${last}`, evidence, isMore: false };
    },
  };
}

/** Up to where the asker was told; 0 for a cursor that is not of this edge. */
function readCursor(cursor: string | undefined, epoch: string): number {
  const told = cursor?.startsWith(`${epoch} `) === true ? Number(cursor.slice(epoch.length + 1)) : 0;
  return Number.isSafeInteger(told) ? told : 0;
}
