/**
 * What nobody reports: frps says nothing when it dies, a CloseProxy may be late or lost, and a client may log in and then
 * never register. Every two seconds the sessions are compared with the dashboard; every second deadlines are enforced.
 */
import type { Door, SessionStore } from "@keyhole/core";
import type { Adoption } from "./adoption.ts";
import { createAges } from "./ages.ts";
import type { Blocks } from "./blocks.ts";
import type { EventNotes } from "./event-notes.ts";
import type { FrpsView, ReadFrps } from "./frps-view.ts";
import type { Log } from "./log.ts";
import type { SessionAuthority } from "./session-authority.ts";
import type { SessionConnections } from "./session-connections.ts";
import type { SessionEndings } from "./session-endings.ts";
import type { SessionRegistry } from "./session-registry.ts";
import { endUnended } from "./unended-sessions.ts";

/** What the upkeep needs. */
export type UpkeepDeps = {
  readonly registry: SessionRegistry;
  readonly authority: SessionAuthority;
  readonly endings: SessionEndings;
  readonly adoption: Adoption;
  readonly readFrps: ReadFrps;
  readonly sessions: SessionStore;
  readonly blocks: Pick<Blocks, "labels" | "networks">;
  readonly door: Door;
  readonly connections: SessionConnections;
  readonly kick: (runId: string, why: string) => void;
  readonly notes: EventNotes;
  readonly now: () => Date;
  readonly log: Log;
};

/** One pass each; the timers are `startUpkeep`'s. */
export type Upkeep = {
  /** Compares sessions with the dashboard once, after a pass that is under way. Resolves to false when the dashboard could not be read. */
  reconcile(): Promise<boolean>;
  enforceDeadlines(): Promise<void>;
  /** Tells the edge everything; nothing before the first adoption, when we know less than the edge. */
  pushAll(): Promise<void>;
  /** When the dashboard was last read. */
  readonly reconciledAt: Date | undefined;
  /** False when nobody listened on the dashboard's port at the last look. */
  readonly isFrpsThere: boolean;
};

/** How long a client may be logged in without a proxy, in ms. */
const proxyDeadlineMs = 10_000;
/** How long a client that was admitted may be missing from the dashboard, in ms: a hand-over and its answer take less. */
const arrivalMs = 2000;
/** How long frps may take to act on an answer of ours before the dashboard is believed, in ms. */
const settleMs = 1000;
/** How often it is recorded that the sessions are what their rows say, in ms. */
const watchMs = 10_000;
const lastSeenLimit = 100_000;
/** So many questions to the edge at a time. */
const reclaimedAtOnce = 64;

/** Makes the upkeep. */
export function createUpkeep(deps: UpkeepDeps): Upkeep {
  const { registry, authority, endings, adoption, door, connections, sessions, kick, now, log } = deps;
  let reconciledAt: Date | undefined;
  let isFrpsThere = false;
  let watchedAt: Date | undefined;
  let isReadable = true;
  let isPushed = false;
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<boolean> | undefined;
  /** Run ids that the dashboard shows and we do not know, with when they were first seen. */
  const strangers = new Map<string, Date>();
  const ages = createAges();

  async function pushAll(): Promise<void> {
    if (!adoption.isDone) return;
    const lastSeen = await sessions.recentlySeen(lastSeenLimit);
    const live = [...registry.all()].flatMap(({ label, connectedAt }) =>
      connectedAt === undefined ? [] : [{ label, since: connectedAt }],
    );
    await door.replaceAll({ live, lastSeen, blocked: deps.blocks.labels(), blockedNetworks: deps.blocks.networks() });
    const living = [...registry.all()];
    for (let start = 0; start < living.length; start += reclaimedAtOnce) {
      const some = living.slice(start, start + reclaimedAtOnce);
      await Promise.all(some.map((session) => connections.reclaim(session, () => registry.has(session))));
    }
    // What ended while nobody could tell is nobody's. Last, and in one step: a plugin that dies before it has cost nobody a connection.
    await connections.keepOnly(() => registry.all());
    deps.notes.note("edge.joined", undefined, { live: live.length });
  }

  /** First pass: who is there already was admitted by a process before this one. */
  async function takeOver(view: FrpsView): Promise<void> {
    await adoption.adopt(view);
    log.info({ event: "sessions.adopted", sessions: registry.size }, "what frps serves is known");
    await endUnended({ registry, sessions, notes: deps.notes, now }).catch((cause: unknown) =>
      log.error({ cause: String(cause) }, "sessions of the former process could not be ended in the records"),
    );
  }

  function compare(view: FrpsView, asOf: Date): void {
    const readAt = now();
    const ageMs = (at: Date): number => ages.find(at, asOf, readAt);
    const online = new Map(view.clients.filter((client) => client.isOnline).map((client) => [client.runId, client]));
    const served = new Set(view.proxies.filter((proxy) => proxy.isOnline).map((proxy) => `${proxy.clientId} ${proxy.name}`));
    for (const session of [...registry.all()]) {
      // What was answered just before the dashboard was asked need not be on it yet.
      if (ageMs(session.connectedAt ?? session.admittedAt) < settleMs) continue;
      const isThere = online.has(session.ticket);
      // frps may have refused what we admitted (a second proxy on the same host): such a name is none.
      for (const [name, admittedAt] of session.proxies) {
        if (ageMs(admittedAt) >= settleMs && !served.has(`${session.ticket} ${name}`)) session.proxies.delete(name);
      }
      const isServed = session.proxies.size > 0;
      if (isThere && isServed) session.seenAt = asOf;
      else if (session.connectedAt !== undefined) endings.forget(session, "lost");
      else if (ageMs(session.admittedAt) > (isThere ? proxyDeadlineMs : arrivalMs)) {
        endings.forget(session, "lost");
        if (!isThere) continue;
        // Cut as well: nothing is lost with its connection, and a hostile client would keep it.
        void connections.cut(session);
        kick(session.ticket, "logged in, but registered no proxy in time");
      }
    }
    const known = new Set([...registry.all()].map((session) => session.ticket));
    for (const runId of [...strangers.keys()]) if (!online.has(runId) || known.has(runId)) strangers.delete(runId);
    for (const runId of online.keys()) {
      if (known.has(runId)) continue;
      const since = strangers.get(runId) ?? asOf;
      strangers.set(runId, since);
      if (ageMs(since) <= proxyDeadlineMs) continue;
      strangers.delete(runId);
      kick(runId, "no session");
    }
  }

  /** So that a process that starts after this one was killed can say until when a label was served. */
  function watch(asOf: Date): void {
    if (registry.size === 0 || (watchedAt !== undefined && Math.abs(asOf.getTime() - watchedAt.getTime()) < watchMs)) return;
    watchedAt = asOf;
    sessions
      .saveWatched(asOf)
      .catch((cause: unknown) => log.error({ cause: String(cause) }, "the time of the last look could not be recorded"));
  }

  async function look(): Promise<boolean> {
    const asOf = now();
    let view: FrpsView | "gone";
    try {
      view = await deps.readFrps();
      if (!isReadable) log.info({}, "frps's dashboard can be read again");
      isReadable = true;
    } catch (cause) {
      if (isReadable) log.warn({ cause: String(cause) }, "frps's dashboard could not be read");
      isReadable = false;
      return false;
    }
    const readAt = now();
    const isOlder = ({ admittedAt }: { readonly admittedAt: Date }): boolean => ages.find(admittedAt, asOf, readAt) > 0;
    if (view === "gone") for (const session of [...registry.all()]) if (isOlder(session)) endings.forget(session, "lost");
    const frps = view === "gone" ? { clients: [], proxies: [] } : view;
    if (adoption.isDone) compare(frps, asOf);
    else await takeOver(frps);
    reconciledAt = asOf;
    const wasThere = isFrpsThere;
    isFrpsThere = view !== "gone";
    // frps and the edge keep no chain of their own.
    if (isFrpsThere !== wasThere) deps.notes.note(isFrpsThere ? "frps.found" : "frps.lost", undefined, {});
    watch(asOf);
    if (!isPushed) {
      await pushAll().then(
        () => {
          isPushed = true;
        },
        (cause: unknown) => log.error({ cause: String(cause) }, "the edge could not be told who is live; it is tried again"),
      );
    }
    return true;
  }

  return {
    get reconciledAt() {
      return reconciledAt;
    },

    get isFrpsThere() {
      return isFrpsThere;
    },

    reconcile() {
      next ??= running.then(() => {
        next = undefined;
        const pass = look();
        running = pass.catch(() => {});
        return pass;
      });
      return next;
    },

    async enforceDeadlines() {
      // All at once: the edge refuses every one of them before the first slow kick is over.
      await Promise.all([...registry.all()].map((session) => authority.enforceDeadline(session)));
    },

    pushAll,
  };
}
