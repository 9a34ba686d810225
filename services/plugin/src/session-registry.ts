/**
 * The sessions that live now, by id and by label. A session lives from its admitted Login until a CloseProxy, the
 * dashboard, ten seconds without a proxy, or somebody of a higher rank says otherwise.
 */
import type { CredentialKind, Label } from "@keyhole/core";

/** One admitted login. The ticket is secret. */
export type Session = {
  /** New for every admitted Login, so that a late CloseProxy can only close its own. */
  readonly id: string;
  readonly label: Label;
  readonly generation: number;
  readonly kind: CredentialKind;
  readonly ticket: string;
  /** As its credential lists them; none when it lists none, or when the session goes on by its ticket alone. */
  readonly services: readonly string[];
  /** The client's connection to the edge; undefined when only the edge knows it (adopted after a restart), or not even the edge. */
  connectionId: string | undefined;
  /** Where its client came from (`ip:port`); undefined when that is not known: adopted, or past the edge. */
  readonly source: string | undefined;
  readonly admittedAt: Date;
  /** Raised by a renewal. */
  issuedAt: Date;
  endsAt: Date;
  /** The proxies that were admitted and not closed since, with the time of their admission. */
  readonly proxies: Map<string, Date>;
  /** When the first of them was admitted. */
  connectedAt: Date | undefined;
  /** When the dashboard last showed one of them. */
  seenAt: Date | undefined;
};

/** Sessions by id and by label. */
export type SessionRegistry = {
  add(session: Session): void;
  /** False when it was not there any more: somebody else ended it first. */
  remove(session: Session): boolean;
  has(session: Session): boolean;
  find(id: string): Session | undefined;
  /** Every living session of the label; more than one only while a hand-over is under way. */
  living(label: Label): readonly Session[];
  all(): IterableIterator<Session>;
  readonly size: number;
};

/** Makes an empty registry. */
export function createSessionRegistry(): SessionRegistry {
  const byId = new Map<string, Session>();
  const byLabel = new Map<Label, Session[]>();
  return {
    add(session) {
      byId.set(session.id, session);
      byLabel.set(session.label, [...(byLabel.get(session.label) ?? []), session]);
    },
    remove(session) {
      if (byId.get(session.id) !== session) return false;
      byId.delete(session.id);
      const rest = (byLabel.get(session.label) ?? []).filter((other) => other !== session);
      if (rest.length === 0) byLabel.delete(session.label);
      else byLabel.set(session.label, rest);
      return true;
    },
    has: (session) => byId.get(session.id) === session,
    find: (id) => byId.get(id),
    living: (label) => byLabel.get(label) ?? [],
    all: () => byId.values(),
    get size() {
      return byId.size;
    },
  };
}
