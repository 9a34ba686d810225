/**
 * How a session ends: by itself, or evicted. Whatever the end, it is recorded once, and its label leaves the edge when nobody
 * is left who may serve it.
 */
import { type CredentialKind, isRevoked, type Label, type LeaveReason, type SessionEnd, type TokenReader } from "@keyhole/core";
import { withinTime } from "./answer-time.ts";
import type { EventNotes } from "./event-notes.ts";
import type { EvictionWatch } from "./eviction-watch.ts";
import type { HandOver } from "./hand-over.ts";
import type { Log } from "./log.ts";
import type { PluginRecorder } from "./plugin-figures.ts";
import { renew } from "./renewal.ts";
import type { SessionConnections } from "./session-connections.ts";
import type { SessionRecords } from "./session-records.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";

/** The ends of sessions. */
export type SessionEndings = {
  /** Only the bookkeeping; the label stays at the edge. False when somebody else ended it first. */
  end(session: Session, how: SessionEnd): boolean;
  /** The session has ended by itself: its connection, its proxy or frps is gone. */
  forget(session: Session, how: SessionEnd): void;
  /** Recorded, taken from the edge, and then cut and kicked. Resolves when the edge knows, false when it could not be told; cut and kick go on. */
  evict(session: Session, how: SessionEnd): Promise<boolean>;
  /** Evicts what was issued before. Resolves when the edge knows, also of an eviction of the label that was under way. */
  evictOlder(label: Label, notBefore: Date): Promise<boolean>;
  /** Evicts every session of the label, however good. Resolves as `evictOlder` does. */
  evictLabel(label: Label, how: SessionEnd): Promise<boolean>;
  /** Evicts every session of these kinds, however good. Resolves when the edge was told, with how many they were. */
  evictKinds(kinds: readonly CredentialKind[]): Promise<number>;
  /** Changes with each `evictKinds` of the kind: what was checked before that is not good any more. */
  roundOf(kind: CredentialKind): number;
  /** False when an evicted client of the label is still there after so many ms: frps would refuse a newcomer's proxy for it. */
  awaitGone(label: Label, withinMs: number): Promise<boolean>;
  /** True while an evicted client of the label may still be there. */
  isLeaving(label: Label): boolean;
  /** A NewProxy of an evicted session that is under way must not be judged by the ticket. */
  wasEvicted(id: string): boolean;
};

const evictedKeptMs = 600_000;

/** Evictions of a label that are under way: what the edge is told, and the cut and the kick after it. */
type Leaving = { readonly told: Promise<boolean>; readonly gone: Promise<unknown> };

/** Makes the endings of one plugin. */
export function createSessionEndings(deps: {
  readonly registry: SessionRegistry;
  readonly tokens: Pick<TokenReader, "newestToken">;
  readonly handOver: HandOver;
  readonly connections: SessionConnections;
  readonly records: SessionRecords;
  readonly evictions: EvictionWatch;
  readonly notes: EventNotes;
  readonly recorder: Pick<PluginRecorder, "end">;
  readonly log: Log;
}): SessionEndings {
  const { registry, tokens, handOver, connections, records, evictions, notes, recorder, log } = deps;
  const evicted = new Set<string>();
  const leaving = new Map<Label, Leaving>();
  const rounds = new Map<CredentialKind, number>();
  const roundOf = (kind: CredentialKind): number => rounds.get(kind) ?? 0;

  function end(session: Session, how: SessionEnd): boolean {
    if (!registry.remove(session)) return false;
    // Any other end cuts it.
    if (how === "closed" || how === "lost") connections.release(session);
    records.remember(session, how);
    const { id, generation, label } = session;
    notes.note("session.ended", label, { session: id, generation, how });
    recorder.end(how);
    log.info({ event: "session.ended", label: session.label, session: session.id, how }, "session ended");
    return true;
  }

  /**
   * What was bought until now is its own. Looked up at once: issued-at is of whole seconds, so afterwards nobody can say of a token of
   * this second whether it was bought before. A store that cannot be read leaves it the rank that it has.
   */
  async function keepRenewal(session: Session, how: SessionEnd): Promise<void> {
    const { label, kind, generation } = session;
    const newest = await tokens.newestToken(label, kind).catch(() => undefined);
    const isBack = registry.living(label).some((other) => other.generation === generation);
    if (!isBack && renew(session, newest)) records.remember(session, how);
  }

  /** Takes the label from the edge if nobody is left who may serve it. Resolves to false when the edge could not be told. */
  async function leaveIfNobody({ label, connectedAt }: Session, reason: LeaveReason): Promise<boolean> {
    if (registry.living(label).length > 0) return true;
    // A session that never connected was never served: the edge does not know of it, and nobody saw the label.
    return handOver.conclude(label) || connectedAt !== undefined ? await records.leave(label, reason) : true;
  }

  async function evict(session: Session, how: SessionEnd): Promise<boolean> {
    const { id, label } = session;
    evicted.add(id);
    setTimeout(() => evicted.delete(id), evictedKeptMs).unref();
    if (!end(session, how)) return true;
    const eviction = evictions.begin(session, how);
    const former = leaving.get(label);
    const told = Promise.all([former?.told ?? true, leaveIfNobody(session, "ended")]).then((all) => !all.includes(false));
    // Not waited for: a client that takes long to go must not keep the next ones waiting.
    const gone = Promise.all([
      former?.gone,
      told.then((isTold) => {
        if (isTold) eviction.reached("blocked");
        return handOver.disconnect(session, eviction.reached);
      }),
    ]);
    const mine = { told, gone };
    leaving.set(label, mine);
    void gone.finally(() => {
      if (leaving.get(label) === mine) leaving.delete(label);
      void eviction.confirm();
    });
    return await told;
  }

  return {
    end,
    forget(session, how) {
      if (!end(session, how)) return;
      void keepRenewal(session, how);
      void leaveIfNobody(session, "offline");
    },
    evict,
    async evictOlder(label, notBefore) {
      for (const session of registry.living(label)) if (isRevoked(session, notBefore)) void evict(session, "evicted");
      return (await leaving.get(label)?.told) ?? true;
    },
    async evictLabel(label, how) {
      for (const session of registry.living(label)) void evict(session, how);
      return (await leaving.get(label)?.told) ?? true;
    },
    async evictKinds(kinds) {
      // First: whoever is being judged meets it, or is in the registry already.
      for (const kind of kinds) rounds.set(kind, roundOf(kind) + 1);
      const ended = [...registry.all()].filter(({ kind }) => kinds.includes(kind));
      await Promise.all(ended.map((session) => evict(session, "evicted")));
      return ended.length;
    },
    roundOf,
    isLeaving: (label) => leaving.has(label),
    awaitGone: (label, withinMs) =>
      withinTime(
        Promise.resolve(leaving.get(label)?.gone).then(() => true),
        withinMs,
        false,
      ),
    wasEvicted: (id) => evicted.has(id),
  };
}
