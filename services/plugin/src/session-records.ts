/**
 * What is written down about sessions, and what the edge is told when one ends. Always behind the answer: a good
 * credential is admitted with a full disk too, so no login awaits anything here and a failure is only logged.
 */
import type { Door, Label, LeaveReason, SessionEnd, SessionStore } from "@keyhole/core";
import type { Log } from "./log.ts";
import type { Session } from "./session-registry.ts";

/** Writes behind the answers. */
export type SessionRecords = {
  /** Records the session as it is; `how` when it has ended. */
  remember(session: Session, how: SessionEnd | undefined): void;
  /** The label was served until now. */
  seen(label: Label, at: Date): void;
  /** Takes the label from the edge and records when it was served last. Resolves to false when the edge could not be told. */
  leave(label: Label, reason: LeaveReason): Promise<boolean>;
};

/** Makes the records of one plugin. */
export function createSessionRecords(deps: {
  readonly sessions: SessionStore;
  readonly door: Door;
  readonly now: () => Date;
  readonly log: Log;
}): SessionRecords {
  const { sessions, door, now, log } = deps;
  const attempt = (work: Promise<void>, label: Label, failure: string): Promise<boolean> =>
    work.then(
      () => true,
      (cause: unknown) => {
        log.error({ label, cause: String(cause) }, failure);
        return false;
      },
    );
  const records: SessionRecords = {
    remember(session, how) {
      const { label, generation, kind, issuedAt, endsAt, admittedAt, connectedAt } = session;
      const closedAt = how === undefined ? undefined : now();
      const row = { label, generation, kind, issuedAt, endsAt, admittedAt, connectedAt, closedAt, end: how };
      void attempt(sessions.saveSession(row), label, "a session could not be recorded");
    },
    seen(label, at) {
      void attempt(sessions.saveLastSeen(label, at), label, "last seen could not be recorded");
    },
    leave(label, reason) {
      const lastSeen = now();
      const told = attempt(door.delete(label, { lastSeen, reason }), label, "the edge could not be told that a label is offline");
      records.seen(label, lastSeen);
      return told;
    },
  };
  return records;
}
