/**
 * Who holds a label, now. `admit`, `resume` and `adopt` are the only ways a session begins, `openTunnel` and `closeTunnel`
 * how it serves; how it ends is `session-endings.ts`. The hook is their first client. Decisions are made between two awaits, so two logins of one label are always
 * one after the other; no lock is held while a former session is being cut off (DESIGN.md §5).
 */
import {
  type Admission,
  type CredentialKind,
  type Door,
  decideAdmission,
  deriveUnrecordedEnd,
  grant,
  isSelfSigned,
  type Label,
  mintTicket,
  type ReadKeyRing,
  type Refusal,
  readTicket,
  refuse,
  type SessionRecord,
  type SessionStore,
  type TokenReader,
  type Verdict,
} from "@keyhole/core";
import { adoptedId } from "./adopted-id.ts";
import { type AnswerTime, endlessTime, judgeTime, waitable } from "./answer-time.ts";
import type { Blocks } from "./blocks.ts";
import type { Credential } from "./credential.ts";
import type { EventNotes } from "./event-notes.ts";
import { type HandOver, handOverBudgetMs } from "./hand-over.ts";
import type { KnownGenerations } from "./known-generations.ts";
import type { Log } from "./log.ts";
import { judgeConnection, type LoginConnection } from "./login-connection.ts";
import type { NotBefores } from "./not-befores.ts";
import type { PluginRecorder, StartMode } from "./plugin-figures.ts";
import type { DrawRandom } from "./random-pool.ts";
import { renew, renewedIssuedAt } from "./renewal.ts";
import type { SessionConnections } from "./session-connections.ts";
import type { SessionEndings } from "./session-endings.ts";
import type { SessionRecords } from "./session-records.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";
import { deriveStellarLine } from "./stellar-line.ts";

/** A login whose credential is genuine. */
export type LoginAttempt = {
  readonly credential: Credential;
  /** What `roundOf` its kind was before it was checked. */
  readonly round: number;
  readonly runId: string;
  /** The client's connection at the edge: the question is under way. */
  readonly connection: Promise<LoginConnection>;
  readonly time: AnswerTime;
};

/** Who asks for a session: the id it will have, and what the client sent as run_id. */
type Client = {
  readonly id: string;
  readonly runId: string;
  readonly round: number;
  readonly time: AnswerTime;
  readonly connection: Promise<LoginConnection> | undefined;
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
  readonly endings: SessionEndings;
  readonly connections: SessionConnections;
  readonly records: SessionRecords;
  readonly recorder: Pick<PluginRecorder, "start">;
  readonly known: KnownGenerations;
  readonly notBefores: NotBefores;
  readonly ticketKeys: ReadKeyRing;
  /** Where visitors find a label. */
  readonly tunnelUrl: (label: Label) => string;
  /** Life of a token that has no record. */
  readonly ttlSeconds: number;
  readonly blocks: Pick<Blocks, "isBlocked" | "hasSource">;
  readonly notes: EventNotes;
  readonly now: () => Date;
  readonly drawRandom: DrawRandom;
  readonly log: Log;
};

/** Owns the sessions. Every refusal is a value; a store that cannot be read is thrown as a fault. */
export type SessionAuthority = {
  /** Asked before a credential of the kind is checked; `admit` refuses what was checked before all sessions of its kind were ended. */
  roundOf(kind: CredentialKind): number;
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
  /** Evicts the session if its deadline has passed and nothing newer was bought; otherwise raises its deadline. */
  enforceDeadline(session: Session): Promise<void>;
};

/** How many proxies one session may have: one serves, the others are a client's reload under way. */
const maxProxies = 4;

/** Makes the authority. Nothing runs by itself: deadlines and the dashboard are `upkeep.ts`. */
export function createSessionAuthority(deps: SessionAuthorityDeps): SessionAuthority {
  const { registry, tokens, sessions, door, handOver, endings, connections, records, recorder, known, notBefores, log, now } = deps;

  /** Reads, decides and registers. Everything after the one await is a single step: nothing can come between. */
  async function install(credential: Credential, client: Client): Promise<Verdict<Session>> {
    const { label, kind } = credential;
    const ticket = readTicket(label, client.runId, deps.ticketKeys());
    const [read, former, highest, newestIssuedAt, connection] = await Promise.all([
      tokens.readCredential(label, kind, credential.issuedAt),
      ticket === undefined ? undefined : sessions.findSession(label, ticket.generation),
      known.highest(label, now().getTime()),
      isSelfSigned(kind) ? sessions.newestIssuedAt(label, kind) : undefined,
      client.connection,
    ]);
    // When it has left, its Login waited for us and nobody waits for the answer: a client that serves must not go for it.
    const unwanted = connection === undefined ? undefined : judgeConnection(connection);
    if (unwanted !== undefined) return { granted: false, refusal: unwanted };
    // It is in already when the edge could not be told of the block.
    if (deps.blocks.hasSource(connection?.source)) return refuse("NETWORK_BLOCKED");
    const { recorded, newest } = read;
    // What was revoked since it was read counts too: whoever enforces it has looked for sessions before this one is there.
    const notBefore = notBefores.latest(label, read.notBefore);
    if (notBefore !== undefined) void endings.evictOlder(label, notBefore);
    const others = registry.living(label);
    for (const other of others) if (renew(other, newest)) records.remember(other, undefined);
    const endsAt = credential.endsAt ?? recorded?.expiresAt ?? deriveUnrecordedEnd(credential.issuedAt, deps.ttlSeconds);
    const verdict = decideAdmission({
      now: now(),
      isBlocked: deps.blocks.isBlocked(label),
      credential: { kind, issuedAt: credential.issuedAt, endsAt },
      notBefore,
      newest,
      newestIssuedAt,
      ticket,
      recordedIssuedAt: former === undefined ? undefined : renewedIssuedAt(former, newest),
      living: others,
      highestGeneration: Math.max(highest, known.noted(label), ticket?.generation ?? 0, ...others.map(({ generation }) => generation)),
    });
    if (!verdict.granted) return verdict;
    if (client.round !== endings.roundOf(kind)) return refuse("SESSION_ENDED");
    const late = judgeTime(client.time, others.length > 0 || endings.isLeaving(label));
    if (late !== undefined) return { granted: false, refusal: late };
    const session = createSession(credential, client, verdict.value, connection, former);
    for (const other of others) endings.end(other, other.generation === session.generation ? "closed" : "displaced");
    registry.add(session);

    const patience = (): number => waitable(client.time.left, handOverBudgetMs);
    const isClear = others.length === 0 || (await handOver.displace(session, others, patience()));
    // When nobody waits any more, a session would be nobody's.
    if (!isClear || (endings.isLeaving(label) && !(await endings.awaitGone(label, patience()))) || client.time.left() === 0) {
      if (registry.remove(session)) records.remember(session, "displaced");
      return refuse("HANDOVER_PENDING");
    }
    if (!registry.has(session)) return refuse(endings.wasEvicted(session.id) ? "SESSION_ENDED" : "REPLACED_BY_NEWER_CLIENT");
    connections.claim(session);
    records.remember(session, undefined);
    deps.notes.note("session.admitted", label, {
      session: session.id,
      generation: session.generation,
      kind,
      issuedAt: Math.floor(session.issuedAt.getTime() / 1000),
      isResumed: verdict.value.isResumed,
      displaced: others.length,
      source: session.source ?? null,
    });
    return grant(session);
  }

  /** `former` is what the process before this one recorded of the same generation. */
  function createSession(
    credential: Credential,
    client: Client,
    admission: Admission,
    connection: LoginConnection | undefined,
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
      services: credential.services ?? [],
      connectionId: connection?.id,
      source: connection?.source,
      // What was bought since then, unseen by anybody, raises it: it lived.
      admittedAt: adopted?.admittedAt ?? at,
      issuedAt,
      endsAt,
      proxies: new Map(proxyNames.map((name) => [name, at])),
      connectedAt: proxyNames.length > 0 ? (adopted?.connectedAt ?? at) : undefined,
      seenAt: undefined,
    };
  }

  /** By its ticket alone. */
  async function judgeFormer(
    { label, ticket: runId }: FormerClient,
    client: Omit<Client, "runId" | "round" | "time">,
    mode: StartMode,
  ): Promise<Verdict<Session>> {
    const ticket = readTicket(label, runId, deps.ticketKeys());
    const isUnknown = ticket === undefined || endings.wasEvicted(client.id) || endings.wasEvicted(adoptedId(runId));
    const session = isUnknown
      ? refuse("SESSION_UNKNOWN")
      : await install({ label, ...ticket }, { ...client, runId, round: endings.roundOf(ticket.kind), time: endlessTime });
    recorder.start(ticket?.kind, mode, session.granted);
    return session;
  }

  async function findAgain(client: { readonly id: string; readonly ticket: string }): Promise<LoginConnection> {
    return { id: await connections.find(client), source: undefined, failure: undefined, retryAfterSeconds: undefined };
  }

  return {
    roundOf: endings.roundOf,

    // Hexadecimal: operators type it, and what begins with a dash would be taken for an option.
    admit: ({ credential, ...client }) => install(credential, { id: deps.drawRandom(16).toString("hex"), ...client }),

    resume: (client) => judgeFormer(client, { id: client.id, connection: findAgain(client) }, "ticket"),

    // Its connection is found when everything is pushed to the edge, or when it must be cut.
    adopt: (client) =>
      judgeFormer(client, { id: adoptedId(client.ticket), connection: undefined, proxyNames: client.proxyNames }, "adopted"),

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
        const line = deriveStellarLine(session, { at: connectedAt, endpoint: deps.tunnelUrl(session.label) });
        if (line !== undefined) log.info(line, "a Stellar account's tunnel is connected");
      }
      await door.put({ label: session.label, since: connectedAt });
      // While the edge was told, somebody of a higher rank may have come, or the deadline.
      return registry.has(session) ? undefined : refuse("SESSION_ENDED").refusal;
    },

    closeTunnel(session, proxyName) {
      if (!session.proxies.delete(proxyName) || session.proxies.size > 0) return;
      endings.forget(session, "closed");
    },

    async enforceDeadline(session) {
      if (now() < session.endsAt) return;
      const { label, kind } = session;
      const [newest, notBefore] = await Promise.all([tokens.newestToken(label, kind), tokens.notBefore(label)]);
      const latest = notBefores.latest(label, notBefore);
      const isRevoked = latest !== undefined && session.issuedAt < latest;
      if (!isRevoked && renew(session, newest)) records.remember(session, undefined);
      if (now() >= session.endsAt) void endings.evict(session, "expired");
    },
  };
}
