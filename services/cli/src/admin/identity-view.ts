/** Everything that is known of one wallet: who serves it, what was ordered about it, what it bought, and what it did. */
import {
  type EventRecord,
  type EventWriter,
  identityOfLabel,
  isRevoked,
  type Label,
  printIdentity,
  type SessionReader,
  type TokenReader,
  type TokenRecord,
} from "@keyhole/core";
import type { EventReader } from "@keyhole/store";
import type { IdentityShape, SessionShape } from "./admin-schemas.ts";

/** Where it is read. */
export type IdentityReaders = {
  readonly sessions: Pick<SessionReader, "sessionsOf" | "standing" | "lastSeen">;
  readonly tokens: Pick<TokenReader, "newestToken" | "notBefore">;
  readonly events: Readonly<Record<EventWriter, Pick<EventReader, "ofLabel">>>;
  /** The public address of a label. */
  readonly tunnelUrl: (label: Label) => string;
  readonly now: () => Date;
};

/** Sessions that are told. The store keeps a few more. */
const toldSessions = 10;
/** Events that are told, and those that are looked at: logins and orders lie further back. */
const toldEvents = 30;
const readEvents = 300;

const chains = ["tokens", "sessions"] as const;
const tokenKinds = ["hmac", "jwt"] as const;

/** Reads it all. `live` are the sessions that live; null when the plugin could not be asked. Throws the store's fault. */
export async function readIdentity(readers: IdentityReaders, label: Label, live: readonly SessionShape[] | null): Promise<IdentityShape> {
  const identity = identityOfLabel(label);
  const now = readers.now();
  // First: the plugin's store writes by this what it still gathers, its events too.
  const sessions = await readers.sessions.sessionsOf(label, toldSessions);
  const [standing, ownersNotBefore, lastSeen, tokens, events] = await Promise.all([
    readers.sessions.standing(label),
    readers.tokens.notBefore(label),
    readers.sessions.lastSeen(label),
    Promise.all(tokenKinds.map((kind) => readers.tokens.newestToken(label, kind))),
    Promise.all(chains.map(async (chain) => (await readers.events[chain].ofLabel(label, readEvents)).map((row) => viewEvent(chain, row)))),
  ]);
  const told = events.flat().sort((one, other) => (one.at < other.at ? 1 : one.at > other.at ? -1 : other.sequence - one.sequence));
  const orderedBy = (event: string): string | null => {
    const by = told.find((each) => each.event === event)?.detail["by"];
    return typeof by === "string" ? by : null;
  };
  const notBefores = [ownersNotBefore, standing.revocation?.notBefore].filter((each) => each !== undefined);
  const { block, revocation } = standing;
  const isInForce = block !== undefined && (block.endsAt === undefined || block.endsAt > now);
  return {
    address: printIdentity(identity),
    label,
    namespace: identity.namespace,
    url: readers.tunnelUrl(label),
    sessions: live === null ? null : [...live],
    block: isInForce
      ? {
          subject: block.subject,
          reason: block.reason,
          createdAt: print(block.createdAt),
          endsAt: printOrNull(block.endsAt),
          by: orderedBy("block.set"),
        }
      : null,
    revocation:
      revocation === undefined
        ? null
        : { notBefore: print(revocation.notBefore), at: print(revocation.at), by: orderedBy("operator.revoked") },
    ownerRevocation: ownersNotBefore === undefined ? null : { notBefore: print(ownersNotBefore) },
    tokens: tokens.flatMap((token) => (token === undefined ? [] : [viewToken(token, notBefores, now)])),
    lastSeen: printOrNull(lastSeen),
    history: sessions.map(({ generation, kind, admittedAt, connectedAt, closedAt, end }) => ({
      generation,
      kind,
      source: sourceOf(told, generation),
      admittedAt: print(admittedAt),
      connectedAt: printOrNull(connectedAt),
      closedAt: printOrNull(closedAt),
      end: end ?? null,
    })),
    events: told.slice(0, toldEvents),
  };
}

type EventView = IdentityShape["events"][number];

function viewEvent(chain: EventWriter, { at, sequence, event, detail }: EventRecord): EventView {
  return { at: print(at), chain, sequence, event, detail: parseDetail(detail) };
}

/** The detail of a row that somebody has altered may be anything. */
function parseDetail(text: string): Record<string, unknown> {
  try {
    const detail: unknown = JSON.parse(text);
    return typeof detail === "object" && detail !== null && !Array.isArray(detail) ? { ...detail } : {};
  } catch {
    return {};
  }
}

function viewToken(token: TokenRecord, notBefores: readonly Date[], now: Date): IdentityShape["tokens"][number] {
  const { kind, issuedAt, expiresAt } = token;
  const isTaken = notBefores.some((notBefore) => isRevoked({ kind, issuedAt }, notBefore));
  return {
    kind,
    issuedAt: print(issuedAt),
    expiresAt: print(expiresAt),
    state: isTaken ? "revoked" : expiresAt <= now ? "expired" : "good",
  };
}

function sourceOf(events: readonly EventView[], generation: number): string | null {
  const admitted = events.find(({ event, detail }) => event === "session.admitted" && detail["generation"] === generation);
  const source = admitted?.detail["source"];
  return typeof source === "string" ? source : null;
}

const print = (instant: Date): string => instant.toISOString();
const printOrNull = (instant: Date | undefined): string | null => instant?.toISOString() ?? null;
