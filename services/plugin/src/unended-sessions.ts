/**
 * Rows of sessions whose process was killed before it could say how they ended. They ended, unless they were adopted:
 * nobody knows when, so it is said until when they were known to live.
 */
import type { SessionStore } from "@keyhole/core";
import type { EventNotes } from "./event-notes.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** Ends them in the records, as lost, and remembers when their labels were last seen. Rejects when that could not be written. */
export async function endUnended(deps: {
  readonly registry: SessionRegistry;
  readonly sessions: SessionStore;
  readonly notes: EventNotes;
  readonly now: () => Date;
}): Promise<void> {
  const { registry, sessions, notes } = deps;
  const watchedUntil = await sessions.watchedUntil();
  const unended = await sessions.unendedSessions();
  const nowMs = deps.now().getTime();
  await Promise.all(
    unended.map(async (row) => {
      const { label, generation, admittedAt, connectedAt } = row;
      // It lives; or it came back with its ticket since this process began, and its row is the newer one.
      if (registry.living(label).some((session) => session.generation === generation)) return;
      const last = new Date(Math.min(nowMs, Math.max((connectedAt ?? admittedAt).getTime(), watchedUntil?.getTime() ?? 0)));
      const saved = sessions.saveSession({ ...row, closedAt: last, end: "lost" });
      notes.note("session.ended", label, { generation, how: "lost", knownUntil: last.toISOString() });
      await Promise.all(connectedAt === undefined ? [saved] : [saved, sessions.saveLastSeen(label, last)]);
    }),
  );
}
