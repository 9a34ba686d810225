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
  type SessionRecord,
  type SessionStore,
  type TokenReader,
  type TokenRecord,
  type Verdict,
} from "@keyhole/core";
import { adoptedId } from "./adopted-id.ts";
import type { Credential } from "./credential.ts";
import type { HandOver } from "./hand-over.ts";
import type { KnownGenerations } from "./known-generations.ts";
import type { Log } from "./log.ts";
import type { DrawRandom } from "./random-pool.ts";
import type { SessionConnections } from "./session-connections.ts";
import type { SessionRecords } from "./session-records.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";

type Connection = { readonly id: string | undefined; readonly failure: "CLIENT_GONE" | "EDGE_SILENT" | undefined };

/** A login whose credential is genuine. */
export type LoginAttempt = {
  readonly credential: Credential;
  readonly runId: string;
  /** The client's connection at the edge: the question is under way. `failure`: the edge has none, so the client has left; or nobody can tell. */
  readonly connection: Promise<Connection & { readonly source: string | undefined }>;
};

/** Who asks for a session: the id it will have, and what the client sent as run_id. */
type Client = {
  readonly id: string;
  readonly runId: string;
  readonly connection: Promise<Connection> | undefined;
  /** The proxies of a client that frps served before this process began. */
  readonly proxyNames?: readonly string[];
};

/** A client that the process before this one had admitted, or may have. */
type FormerClient = { readonly label: Label; readonly ticket: string };

/** What the authority needs of the world. */
export type SessionAuthorityDeps = {
  readonly registry: SessionRegistry;
  readonly tokens: TokenReader;
  readonly sessions: SessionStore;
  readonly door: Door;
  readonly handOver: HandOver;
  readonly connections: SessionConnections;
  readonly records: SessionRecords;
  readonly known: KnownGenerations;
  readonly ticketKeys: ReadKeyRing;
  /** Life of a token that has no record. */
  readonly ttlSeconds: number;
  /** Labels that are blocked; the plugin is their only writer, so memory is the truth. */
  readonly blocked: ReadonlySet<Label>;
  readonly now: () => Date;
  readonly drawRandom: DrawRandom;
  readonly log: Log;
};

/** Owns the sessions. Every refusal is a value; a store that cannot be read is thrown as a fault. */
export type SessionAuthority = {
  /** Judges a login; when it is granted, whoever was displaced is gone, and the session lives. */
  admit(login: LoginAttempt): Promise<Verdict<Session>>;
  /** A session that this process never admitted (it was restarted meanwhile) is judged by its ticket. */
  resume(client: FormerClient & { readonly id: string }): Promise<Verdict<Session>>;
  /** A session that frps serves, by its dashboard, and that this process never admitted. The edge is not told. */
  adopt(client: FormerClient & { readonly proxyNames: readonly string[] }): Promise<Verdict<Session>>;
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

/** How many proxies one session may have: one serves, the others are a client's reload under way. */
const maxProxies = 4;

/** Makes the authority. Nothing runs by itself: deadlines and the dashboard are `upkeep.ts`. */
export function createSessionAuthority(deps: SessionAuthorityDeps): SessionAuthority {
  const { registry, tokens, sessions, door, handOver, connections, records, known, log, now } = deps;
  /** Ids of evicted sessions: a NewProxy of theirs that is under way must not be judged by the ticket. */
  const evicted = new Set<string>();

  /** Reads, decides and registers. Everything after the one await is a single step: nothing can come between. */
  async function install(credential: Credential & { readonly endsAt?: Date }, client: Client): Promise<Verdict<Session>> {
    const { label, kind } = credential;
    const ticket = readTicket(label, client.runId, deps.ticketKeys());
    const [{ recorded, newest, notBefore }, former, highest, connection] = await Promise.all([
      tokens.readCredential(label, kind, credential.issuedAt),
      ticket === undefined ? undefined : sessions.findSession(label, ticket.generation),
      known.highest(label, now().getTime()),
      client.connection,
    ]);
    // Its Login has waited for us, and nobody waits for the answer: a client that serves must not go for it.
    if (connection?.failure !== undefined) return refuse(connection.failure);
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
      recordedIssuedAt: former === undefined ? undefined : renewedIssuedAt(former, newest),
      living: others,
      highestGeneration: Math.max(highest, known.noted(label), ticket?.generation ?? 0, ...others.map(({ generation }) => generation)),
    });
    if (!verdict.granted) return verdict;
    const session = createSession(credential, client, verdict.value, connection?.id, former);
    for (const other of others) end(other, other.generation === session.generation ? "closed" : "displaced");
    registry.add(session);

    if (others.length > 0 && !(await handOver.displace(session, others))) {
      if (registry.remove(session)) records.remember(session, "displaced");
      return refuse("HANDOVER_PENDING");
    }
    if (!registry.has(session)) return refuse("REPLACED_BY_NEWER_CLIENT");
    connections.claim(session);
    records.remember(session, undefined);
    return grant(session);
  }

  /** `former` is what the process before this one recorded of the same generation. */
  function createSession(
    credential: Credential,
    client: Client,
    admission: Admission,
    connectionId: string | undefined,
    former: SessionRecord | undefined,
  ): Session {
    const { generation, issuedAt, endsAt, isResumed } = admission;
    const { label, kind } = credential;
    const { proxyNames = [] } = client;
    known.note(label, generation);
    const at = now();
    const adopted = proxyNames.length > 0 ? former : undefined;
    return {
      id: client.id,
      label,
      generation,
      kind,
      ticket: isResumed ? client.runId : mintTicket(label, { generation, issuedAt, endsAt, kind }, deps.ticketKeys(), deps.drawRandom(16)),
      connectionId,
      // What was bought since then, unseen by anybody, raises it: it lived.
      admittedAt: adopted?.admittedAt ?? at,
      issuedAt,
      endsAt,
      proxies: new Map(proxyNames.map((name) => [name, at])),
      connectedAt: proxyNames.length > 0 ? (adopted?.connectedAt ?? at) : undefined,
      seenAt: undefined,
    };
  }

  function end(session: Session, how: SessionEnd): boolean {
    if (!registry.remove(session)) return false;
    // Any other end cuts it.
    if (how === "closed" || how === "lost") connections.release(session);
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
    if (handOver.conclude(label) || connectedAt !== undefined) records.leave(label, reason);
  }

  /** By its ticket alone. */
  async function judgeFormer({ label, ticket: runId }: FormerClient, client: Omit<Client, "runId">): Promise<Verdict<Session>> {
    const ticket = readTicket(label, runId, deps.ticketKeys());
    if (ticket === undefined || evicted.has(client.id) || evicted.has(adoptedId(runId))) return refuse("SESSION_UNKNOWN");
    const { kind, issuedAt, endsAt } = ticket;
    return await install({ label, kind, issuedAt, endsAt }, { ...client, runId });
  }

  return {
    admit: ({ credential, runId, connection }) => install(credential, { id: deps.drawRandom(16).toString("base64url"), runId, connection }),

    resume: (client) =>
      judgeFormer(client, { id: client.id, connection: connections.find(client).then((id) => ({ id, failure: undefined })) }),

    // Its connection is found when everything is pushed to the edge, or when it must be cut.
    adopt: (client) => judgeFormer(client, { id: adoptedId(client.ticket), connection: undefined, proxyNames: client.proxyNames }),

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
      await handOver.disconnect(session);
    },

    async enforceDeadline(session) {
      if (now() < session.endsAt) return;
      raise(session, await tokens.newestToken(session.label, session.kind));
      // Not waited for: a client that takes long to go must not keep the next ones' deadlines waiting.
      if (now() >= session.endsAt) void this.evict(session, "expired");
    },
  };
}

const latest = (first: Date, second: Date): Date => (second > first ? second : first);

/** What was bought while the recorded session lived counts for it, also when nobody asked for the label meanwhile. */
function renewedIssuedAt(former: SessionRecord, newest: TokenRecord | undefined): Date {
  const isIts =
    newest !== undefined &&
    newest.kind === former.kind &&
    newest.issuedAt >= former.admittedAt &&
    (former.closedAt === undefined || newest.issuedAt <= former.closedAt);
  return isIts ? latest(former.issuedAt, newest.issuedAt) : former.issuedAt;
}
