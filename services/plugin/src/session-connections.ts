/**
 * Which connection at the edge is whose. A connection that a session was admitted on is claimed; when the session ends it
 * is released, and the edge ends it soon unless its client logs in or opens its tunnel again. What is asked of one
 * connection reaches the edge in the order in which it was asked. Nothing here rejects: an edge that is away has no
 * connections.
 */
import type { Door } from "@keyhole/core";
import { adoptedId } from "./adopted-id.ts";
import type { Log } from "./log.ts";
import type { Session } from "./session-registry.ts";

const maxFormer = 100_000;

/** The connections of sessions. */
export type SessionConnections = {
  /** Not waited for: the edge gives an unclaimed connection 15 s. */
  claim(session: Session): void;
  /** The session ended by itself: its client may still be there, and open its proxy again. */
  release(session: Session): void;
  /** True when the edge has ended it; false when it did not know of one, or could not be asked. */
  cut(session: Session): Promise<boolean>;
  /** Where the client of a session is that this process does not know, or does not know any more. */
  find(client: { readonly id: string; readonly ticket: string }): Promise<string | undefined>;
  /** Finds the connection of a session that was adopted, and claims what is known: the edge may be a new one, or may not have heard it. */
  reclaim(session: Session, isLiving: () => boolean): Promise<void>;
  /** Releases whatever is of nobody who lives at that moment. */
  keepOnly(living: () => Iterable<Session>): Promise<void>;
};

/** Makes them. */
export function createSessionConnections(deps: { readonly door: Door; readonly log: Log }): SessionConnections {
  const { door, log } = deps;
  /** Connections of sessions that ended, by session id: a client that closes its proxy and opens another is on the same one. */
  const former = new Map<string, string>();
  /** The last thing under way for each connection. */
  const underWay = new Map<string, Promise<void>>();

  function ask(connectionId: string, what: string, work: () => Promise<unknown>): Promise<void> {
    const asked = (underWay.get(connectionId) ?? Promise.resolve()).then(work).then(
      () => {},
      (cause: unknown) => log.warn({ what, cause: String(cause) }, "the edge did not do what was asked of a connection"),
    );
    const settled = asked.then(() => {
      if (underWay.get(connectionId) === settled) underWay.delete(connectionId);
    });
    underWay.set(connectionId, settled);
    return settled;
  }

  async function locate(session: Pick<Session, "connectionId" | "ticket">): Promise<string | undefined> {
    if (session.connectionId !== undefined) return session.connectionId;
    return await door.claimedBy(adoptedId(session.ticket)).catch((cause: unknown) => {
      log.warn({ cause: String(cause) }, "the edge could not be asked for a client's connection");
      return undefined;
    });
  }

  function claim(session: Session): void {
    const { connectionId, ticket, label } = session;
    if (connectionId !== undefined) void ask(connectionId, "claim", () => door.claim(connectionId, { holder: adoptedId(ticket), label }));
  }

  return {
    claim,

    release({ id, connectionId }) {
      if (connectionId === undefined) return;
      former.set(id, connectionId);
      for (const oldest of former.keys()) {
        if (former.size <= maxFormer) break;
        former.delete(oldest);
      }
      void ask(connectionId, "release", () => door.release(connectionId));
    },

    async cut(session) {
      const connectionId = await locate(session);
      let isCut = false;
      if (connectionId !== undefined) {
        await ask(connectionId, "cut", async () => {
          isCut = await door.cut(connectionId);
        });
      }
      return isCut;
    },

    async find({ id, ticket }) {
      return former.get(id) ?? former.get(adoptedId(ticket)) ?? (await locate({ connectionId: undefined, ticket }));
    },

    async reclaim(session, isLiving) {
      const connectionId = await locate(session);
      if (connectionId === undefined || !isLiving()) return;
      session.connectionId = connectionId;
      claim(session);
    },

    async keepOnly(living) {
      // Every claim that was made is on its way first; one that is made later comes later.
      await Promise.all(underWay.values());
      await door.keepOnly(new Set(Array.from(living(), ({ ticket }) => adoptedId(ticket))));
    },
  };
}
