/**
 * What nobody reports: frps says nothing when it dies, a CloseProxy may be late or lost, and a client may log in and then
 * never register. Every two seconds the sessions are compared with the dashboard; every second deadlines are enforced.
 */
import { type Door, type Label, parseLabel, type SessionReader } from "@keyhole/core";
import { adoptedId } from "./adopted-id.ts";
import type { Kicks } from "./kicks.ts";
import type { Log } from "./log.ts";
import type { SessionAuthority } from "./session-authority.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** What frps says is there, at one moment. `hosts` are as registered, in any letter case. */
export type FrpsView = {
  readonly clients: readonly {
    readonly runId: string;
    readonly user: string;
    readonly isOnline: boolean;
  }[];
  /** `clientId` is the run id of the session that registered it. */
  readonly proxies: readonly { readonly name: string; readonly clientId: string; readonly isOnline: boolean }[];
};

/** Reads the dashboard; `gone` when nothing listens there, so that every session is over; throws when it is unclear. */
export type ReadFrps = () => Promise<FrpsView | "gone">;

/** What the upkeep needs. */
export type UpkeepDeps = {
  readonly registry: SessionRegistry;
  readonly authority: SessionAuthority;
  readonly readFrps: ReadFrps;
  readonly sessions: SessionReader;
  readonly blocked: ReadonlySet<Label>;
  readonly door: Door;
  readonly kicks: Kicks;
  readonly now: () => Date;
  readonly log: Log;
};

/** One pass each; the timers are `startUpkeep`'s. */
export type Upkeep = {
  /** Compares sessions with the dashboard once. Resolves to false when the dashboard could not be read. */
  reconcile(): Promise<boolean>;
  enforceDeadlines(): Promise<void>;
  /** When the dashboard was last read. */
  readonly reconciledAt: Date | undefined;
};

/** How long a client may be logged in without a proxy, in ms. */
const proxyDeadlineMs = 10_000;
/** How long frps may take to act on an answer of ours before the dashboard is believed, in ms. */
const settleMs = 1000;
const lastSeenLimit = 100_000;

/** Makes the upkeep. */
export function createUpkeep(deps: UpkeepDeps): Upkeep {
  const { registry, authority, door, kicks, now, log } = deps;
  let reconciledAt: Date | undefined;
  /** Run ids that the dashboard shows and we do not know, with when they were first seen. */
  const strangers = new Map<string, Date>();

  function kick(runId: string, why: string): void {
    log.info({ event: "control.kicked", why }, "a client without a session is being kicked");
    void kicks.kick(runId, 5000).catch((cause: unknown) => log.warn({ cause: String(cause) }, "a kick failed"));
  }

  /** First pass: who is there already was admitted by a process before this one. */
  async function adopt(view: FrpsView): Promise<void> {
    for (const client of view.clients) {
      const label = parseLabel(client.user);
      if (!client.isOnline || label === undefined || registry.living(label).some((session) => session.ticket === client.runId)) continue;
      const names = view.proxies.filter((proxy) => proxy.isOnline && proxy.clientId === client.runId).map((proxy) => proxy.name);
      const adopted = names.length === 0 ? undefined : await authority.resume({ id: adoptedId(client.runId), label, ticket: client.runId });
      if (adopted?.granted !== true) {
        kick(client.runId, "no proxy at start");
        continue;
      }
      for (const name of names) await authority.openTunnel(adopted.value, name);
    }
    const live = [...registry.all()].flatMap((session) =>
      session.connectedAt === undefined ? [] : [{ label: session.label, since: session.connectedAt }],
    );
    await door.replaceAll({ live, lastSeen: await deps.sessions.recentlySeen(lastSeenLimit), blocked: deps.blocked });
  }

  function compare(view: FrpsView, asOf: Date): void {
    const online = new Map(view.clients.filter((client) => client.isOnline).map((client) => [client.runId, client]));
    const served = new Set(view.proxies.filter((proxy) => proxy.isOnline).map((proxy) => `${proxy.clientId} ${proxy.name}`));
    for (const session of [...registry.all()]) {
      // What was answered just before the dashboard was asked need not be on it yet.
      if (asOf.getTime() - (session.connectedAt ?? session.admittedAt).getTime() < settleMs) continue;
      const isThere = online.has(session.ticket);
      // frps may have refused what we admitted (a second proxy on the same host): such a name is none.
      for (const [name, admittedAt] of session.proxies) {
        if (asOf.getTime() - admittedAt.getTime() >= settleMs && !served.has(`${session.ticket} ${name}`)) session.proxies.delete(name);
      }
      const isServed = session.proxies.size > 0;
      if (isThere && isServed) session.seenAt = asOf;
      else if (session.connectedAt !== undefined) authority.forget(session, "lost");
      else if (asOf.getTime() - session.admittedAt.getTime() > proxyDeadlineMs) {
        authority.forget(session, "lost");
        if (isThere) kick(session.ticket, "logged in, but registered no proxy in time");
      }
    }
    const known = new Set([...registry.all()].map((session) => session.ticket));
    for (const runId of [...strangers.keys()]) if (!online.has(runId) || known.has(runId)) strangers.delete(runId);
    for (const runId of online.keys()) {
      if (known.has(runId)) continue;
      const since = strangers.get(runId) ?? asOf;
      strangers.set(runId, since);
      if (asOf.getTime() - since.getTime() <= proxyDeadlineMs) continue;
      strangers.delete(runId);
      kick(runId, "no session");
    }
  }

  return {
    get reconciledAt() {
      return reconciledAt;
    },

    async reconcile() {
      const asOf = now();
      let view: FrpsView | "gone";
      try {
        view = await deps.readFrps();
      } catch (cause) {
        log.warn({ cause: String(cause) }, "frps's dashboard could not be read");
        return false;
      }
      if (view === "gone") for (const session of [...registry.all()]) if (session.admittedAt < asOf) authority.forget(session, "lost");
      const frps = view === "gone" ? { clients: [], proxies: [] } : view;
      if (reconciledAt === undefined) await adopt(frps);
      else compare(frps, asOf);
      reconciledAt = asOf;
      return true;
    },

    async enforceDeadlines() {
      for (const session of [...registry.all()]) await authority.enforceDeadline(session);
    },
  };
}

/** Runs the passes on their timers; a pass that is still running is never started again. */
export function startUpkeep(upkeep: Upkeep, settings: { readonly reconcileMs: number; readonly log: Log }): AsyncDisposable {
  const repeat = (everyMs: number, pass: () => Promise<unknown>): { stop(): Promise<void> } => {
    let running: Promise<unknown> = Promise.resolve();
    let isBusy = false;
    const timer = setInterval(() => {
      if (isBusy) return;
      isBusy = true;
      running = pass()
        .catch((cause: unknown) => settings.log.error({ cause: String(cause) }, "upkeep failed"))
        .finally(() => {
          isBusy = false;
        });
    }, everyMs);
    return {
      async stop() {
        clearInterval(timer);
        await running;
      },
    };
  };
  const passes = [repeat(settings.reconcileMs, () => upkeep.reconcile()), repeat(1000, () => upkeep.enforceDeadlines())];
  return {
    async [Symbol.asyncDispose]() {
      for (const pass of passes) await pass.stop();
    },
  };
}
