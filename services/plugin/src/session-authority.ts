/**
 * Who holds a label, now. `admit`, `openTunnel`, `closeTunnel` and `evict` are the only ways a session begins, serves
 * and ends; the hook is their first client. Decisions are made between two awaits, so two logins of one label are always
 * one after the other; no lock is held while a former session is being cut off (DESIGN.md §5).
 */
import {
  type Admission,
  type Door,
  decideAdmission,
  deriveUnrecordedEnd,
  grant,
  type Label,
  type LeaveReason,
  mintTicket,
  type ReadKeyRing,
  type Refusal,
  readTicket,
  refuse,
  type SessionEnd,
  type SessionStore,
  type TokenReader,
  type TokenRecord,
  type Verdict,
} from "@keyhole/core";
import { adoptedId } from "./adopted-id.ts";
import type { Credential } from "./credential.ts";
import type { Kicks } from "./kicks.ts";
import type { Log } from "./log.ts";
import { createSessionRecords } from "./session-records.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";

/** A login whose credential is genuine. */
type LoginAttempt = { readonly credential: Credential; readonly runId: string; readonly connectionId: string | undefined };

/** Who asks for a session: the id it will have, and what the client sent as run_id. */
type Client = { readonly id: string; readonly runId: string; readonly connectionId: string | undefined };

/** What the authority needs of the world. */
export type SessionAuthorityDeps = {
  readonly registry: SessionRegistry;
  readonly tokens: TokenReader;
  readonly sessions: SessionStore;
  readonly door: Door;
  readonly kicks: Kicks;
  readonly ticketKeys: ReadKeyRing;
  /** Life of a token that has no record. */
  readonly ttlSeconds: number;
  /** Labels that are blocked; the plugin is their only writer, so memory is the truth. */
  readonly blocked: ReadonlySet<Label>;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: Log;
};

/** Owns the sessions. Every refusal is a value; a store that cannot be read is thrown as a fault. */
export type SessionAuthority = {
  /** Judges a login; when it is granted, whoever was displaced is gone, and the session lives. */
  admit(login: LoginAttempt): Promise<Verdict<Session>>;
  /** A session that this process never admitted (it was restarted meanwhile) is judged by its ticket. */
  resume(client: { readonly id: string; readonly label: Label; readonly ticket: string }): Promise<Verdict<Session>>;
  /** The session's proxy is about to be registered: the edge is told. Refused when the session is not the holder. */
  openTunnel(session: Session, proxyName: string): Promise<Refusal | undefined>;
  /** A proxy was closed; the session ends with its last one. */
  closeTunnel(session: Session, proxyName: string): void;
  /** Ends a session: recorded, taken from the edge, cut, kicked. A kick is not a ban, but this session never serves again. */
  evict(session: Session, end: SessionEnd): Promise<void>;
  /** The session has ended by itself (its connection or frps is gone): only the bookkeeping is left. */
  forget(session: Session, end: SessionEnd): void;
  /** Evicts the session if its deadline has passed and nothing newer was bought; otherwise raises its deadline. */
  enforceDeadline(session: Session): Promise<void>;
};

/** How long a hand-over may take inside a Login, in ms; the rest of it goes on in the background. */
const handOverBudgetMs = 700;
/** How long the edge holds requests for a newcomer, in ms; a label that nobody serves by then is offline. */
const handOverHoldMs = 1500;
/** How many proxies one session may have: one serves, the others are a client's reload under way. */
const maxProxies = 4;
const maxKnown = 100_000;

/** Makes the authority. Nothing runs by itself: deadlines and the dashboard are `upkeep.ts`. */
export function createSessionAuthority(deps: SessionAuthorityDeps): SessionAuthority {
  const { registry, tokens, sessions, door, kicks, log, now } = deps;
  const records = createSessionRecords(deps);
  /** Labels whose holder was displaced and whose newcomer has not connected yet. */
  const handingOver = new Set<Label>();
  /** Ids of evicted sessions: a NewProxy of theirs that is under way must not be judged by the ticket. */
  const evicted = new Set<string>();
  /** Connections of sessions that ended: a client that closes its proxy and opens another is still on the same one. */
  const formerConnections = new Map<string, string>();
  /** The newest generation of recently used labels: rows are written behind the answer, so the store may not have it yet. */
  const known = new Map<Label, number>();

  /** Reads, decides and registers. Everything after the one await is a single step: nothing can come between. */
  async function install(credential: Credential & { readonly endsAt?: Date }, client: Client): Promise<Verdict<Session>> {
    const { label, kind } = credential;
    const ticket = readTicket(label, client.runId, deps.ticketKeys());
    const [recorded, newest, notBefore, former, highest] = await Promise.all([
      tokens.findToken(label, kind, credential.issuedAt),
      tokens.newestToken(label, kind),
      tokens.notBefore(label),
      ticket === undefined ? undefined : sessions.findSession(label, ticket.generation),
      sessions.highestGeneration(label),
    ]);
    const others = registry.living(label);
    for (const other of others) raise(other, newest);
    const endsAt = credential.endsAt ?? recorded?.expiresAt ?? deriveUnrecordedEnd(credential.issuedAt, deps.ttlSeconds);
    const verdict = decideAdmission({
      now: now(),
      isBlocked: deps.blocked.has(label),
      credential: { kind, issuedAt: credential.issuedAt, endsAt },
      notBefore,
      newest,
      ticket,
      recordedIssuedAt: former?.issuedAt,
      living: others,
      highestGeneration: Math.max(highest, known.get(label) ?? 0, ticket?.generation ?? 0, ...others.map((other) => other.generation)),
    });
    if (!verdict.granted) return verdict;
    const session = createSession(credential, client, verdict.value);
    for (const other of others) end(other, other.generation === session.generation ? "closed" : "displaced");
    registry.add(session);

    if (others.length > 0 && !(await displace(session, others))) {
      if (registry.remove(session)) records.remember(session, "displaced");
      return refuse("HANDOVER_PENDING");
    }
    if (!registry.has(session)) return refuse("REPLACED_BY_NEWER_CLIENT");
    claim(session);
    records.remember(session, undefined);
    return grant(session);
  }

  function createSession(credential: Credential, client: Client, admission: Admission): Session {
    const { generation, issuedAt, endsAt, isResumed } = admission;
    const { label, kind } = credential;
    keep(known, label, generation);
    return {
      id: client.id,
      label,
      generation,
      kind,
      ticket: isResumed ? client.runId : mintTicket(label, { generation, issuedAt, endsAt, kind }, deps.ticketKeys(), deps.randomBytes(16)),
      connectionId: client.connectionId,
      admittedAt: now(),
      issuedAt,
      endsAt,
      proxies: new Map(),
      connectedAt: undefined,
      seenAt: undefined,
    };
  }

  async function displace(session: Session, others: readonly Session[]): Promise<boolean> {
    handingOver.add(session.label);
    await door.handOver(session.label);
    const work = Promise.all(
      others.map(async (other) => {
        await cut(other);
        // The same ticket is the newcomer's own: frps closes that session itself, and a kick would close the newcomer.
        if (other.ticket !== session.ticket) await kicks.kick(other.ticket, handOverBudgetMs);
      }),
    );
    setTimeout(() => settle(session.label), handOverHoldMs).unref();
    try {
      await work;
      return true;
    } catch (cause) {
      log.warn({ label: session.label, cause: String(cause) }, "a displaced client could not be closed in time");
      return false;
    }
  }

  /** After the hold: a label that was to be handed over, and that nobody has taken up, is offline. */
  function settle(label: Label): void {
    if (registry.living(label).some((session) => session.connectedAt !== undefined)) handingOver.delete(label);
    if (handingOver.delete(label)) records.leave(label, "offline");
  }

  /** Not waited for: the edge gives an unclaimed connection 15 s. */
  function claim(session: Session): void {
    if (session.connectionId === undefined) return;
    door
      .claim(session.connectionId, adoptedId(session.ticket))
      .catch((cause: unknown) => log.warn({ label: session.label, cause: String(cause) }, "a connection could not be claimed at the edge"));
  }

  async function cut(session: Session): Promise<void> {
    if (session.connectionId !== undefined) await door.cut(session.connectionId);
  }

  function end(session: Session, how: SessionEnd): boolean {
    if (!registry.remove(session)) return false;
    if (session.connectionId !== undefined) keep(formerConnections, session.id, session.connectionId);
    records.remember(session, how);
    log.info({ event: "session.ended", label: session.label, session: session.id, how }, "session ended");
    return true;
  }

  /**
   * A renewal raises the deadline, and the issued-at only of a session that lived when it was bought: a thief who slips in
   * afterwards with an older token gains no rank by it.
   */
  function raise(session: Session, newest: TokenRecord | undefined): void {
    if (newest === undefined || newest.kind !== session.kind) return;
    const endsAt = latest(session.endsAt, newest.expiresAt);
    const issuedAt = newest.issuedAt >= session.admittedAt ? latest(session.issuedAt, newest.issuedAt) : session.issuedAt;
    if (endsAt === session.endsAt && issuedAt === session.issuedAt) return;
    session.endsAt = endsAt;
    session.issuedAt = issuedAt;
    records.remember(session, undefined);
  }

  /** Takes the label from the edge if nobody is left who may serve it. */
  function leaveIfNobody({ label, connectedAt }: Session, reason: LeaveReason): void {
    if (registry.living(label).length > 0) return;
    // A session that never connected was never served: the edge does not know of it, and nobody saw the label.
    if (handingOver.delete(label) || connectedAt !== undefined) records.leave(label, reason);
  }

  return {
    async admit({ credential, runId, connectionId }) {
      return await install(credential, { id: Buffer.from(deps.randomBytes(16)).toString("base64url"), runId, connectionId });
    },

    async resume({ id, label, ticket: runId }) {
      const ticket = readTicket(label, runId, deps.ticketKeys());
      if (ticket === undefined || evicted.has(id)) return refuse("SESSION_UNKNOWN");
      const { kind, issuedAt, endsAt } = ticket;
      const connectionId = formerConnections.get(id) ?? (await door.claimedBy(adoptedId(runId)));
      return await install({ label, kind, issuedAt, endsAt }, { id, runId, connectionId });
    },

    async openTunnel(session, proxyName) {
      if (!registry.has(session)) return refuse("SESSION_ENDED").refusal;
      if (!session.proxies.has(proxyName) && session.proxies.size >= maxProxies) return refuse("PROXY_LIMIT").refusal;
      session.proxies.set(proxyName, now());
      const connectedAt = session.connectedAt ?? now();
      if (session.connectedAt === undefined) {
        session.connectedAt = connectedAt;
        records.remember(session, undefined);
        records.seen(session.label, connectedAt);
        log.info({ event: "session.connected", label: session.label, session: session.id }, "tunnel connected");
      }
      await door.put({ label: session.label, since: connectedAt });
      // While the edge was told, somebody of a higher rank may have come, or the deadline.
      return registry.has(session) ? undefined : refuse("SESSION_ENDED").refusal;
    },

    closeTunnel(session, proxyName) {
      if (!session.proxies.delete(proxyName) || session.proxies.size > 0) return;
      if (end(session, "closed")) leaveIfNobody(session, "offline");
    },

    forget(session, how) {
      if (end(session, how)) leaveIfNobody(session, "offline");
    },

    async evict(session, how) {
      evicted.add(session.id);
      setTimeout(() => evicted.delete(session.id), 600_000).unref();
      if (!end(session, how)) return;
      leaveIfNobody(session, "ended");
      await cut(session);
      await kicks
        .kick(session.ticket, 5000)
        .catch((cause: unknown) => log.warn({ label: session.label, cause: String(cause) }, "an evicted client could not be kicked"));
    },

    async enforceDeadline(session) {
      if (now() < session.endsAt) return;
      raise(session, await tokens.newestToken(session.label, session.kind));
      if (now() >= session.endsAt) await this.evict(session, "expired");
    },
  };
}

/** Sets an entry as the newest, and drops the oldest where there are too many. */
function keep<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxKnown) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

const latest = (first: Date, second: Date): Date => (second > first ? second : first);
