/**
 * What visitors met at the edge, asked every second and only for what changed. Nothing waits for it: an edge that does not
 * answer is told as that, and whoever reads decides what it means.
 */
import type { Door, EdgeFailure, Label } from "@keyhole/core";
import type { Log } from "./log.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** The newest that is known of each label that is served. */
export type EdgeWatch = {
  /** Asks once, until there is nothing more to hear. Never rejects. */
  ask(): Promise<void>;
  /** When the edge last answered; undefined: not yet. */
  readonly heardAt: Date | undefined;
  /** What the edge saw last of the label; `failure` undefined: its app answered. Undefined: nothing yet. */
  of(label: Label): { readonly at: Date; readonly failure: EdgeFailure | undefined } | undefined;
};

/** Makes the watch; nothing is asked before the first `ask`. */
export function createEdgeWatch(deps: {
  readonly door: Pick<Door, "readEvidence">;
  readonly registry: SessionRegistry;
  readonly now: () => Date;
  readonly log: Log;
}): EdgeWatch {
  const { door, registry, now, log } = deps;
  const known = new Map<Label, { readonly at: Date; readonly failure: EdgeFailure | undefined }>();
  let cursor: string | undefined;
  let heardAt: Date | undefined;

  return {
    get heardAt() {
      return heardAt;
    },
    of: (label) => known.get(label),
    async ask() {
      try {
        for (let isMore = true; isMore; ) {
          const asked = now();
          const report = await door.readEvidence(cursor);
          if (report === undefined) return;
          for (const { label, at, failure } of report.evidence) if (registry.living(label).length > 0) known.set(label, { at, failure });
          ({ cursor, isMore } = report);
          heardAt = asked;
        }
      } catch (cause) {
        log.debug({ cause: String(cause) }, "the edge did not tell what it has seen");
      }
      for (const label of known.keys()) if (registry.living(label).length === 0) known.delete(label);
    },
  };
}
