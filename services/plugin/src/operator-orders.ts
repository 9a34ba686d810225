/**
 * What an operator orders about a wallet or a network: revoke, kick, block, unblock. Each is recorded first, with its event,
 * and is never undone from then on (invariant 6); then the edge is told, which refuses new requests from there on; then
 * whoever is still connected is cut and kicked. An order that is recorded and cannot be enforced now is enforced later:
 * blocks are in the edge's files and every push, and what was revoked is met at every login and adoption.
 */
import {
  type Block,
  type BlockSubject,
  type Door,
  deriveOperatorNotBefore,
  describeRevoked,
  isRevoked,
  type Label,
  type Network,
  type Orderer,
  parseLabel,
  type SessionEnd,
  type SessionStore,
  type TokenReader,
} from "@keyhole/core";
import type { Adoption } from "./adoption.ts";
import type { Blocks } from "./blocks.ts";
import type { Log } from "./log.ts";
import type { NotBefores } from "./not-befores.ts";
import type { SessionEndings } from "./session-endings.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** What became of an order that is recorded. */
export type Ordered<Facts> = Facts & {
  /** How many sessions it ended. */
  readonly ended: number;
  /** Resolves to true when the edge refuses new requests, to false when that cannot be said now. Never rejects. */
  readonly enforced: Promise<boolean>;
};

/** The orders. Each rejects with the store's fault when it could not be recorded: then nothing was done. */
export type OperatorOrders = {
  /** Everything of the wallet that was issued until now counts no more. Signing again helps its owner. */
  revoke(label: Label, by: Orderer): Promise<Ordered<{ readonly notBefore: Date }>>;
  /** Ends the wallet's sessions; its client may log in again. */
  kick(label: Label, by: Orderer): Promise<Ordered<object>>;
  /** Nobody of the wallet, or of the network, comes in until the block ends or is lifted. Replaces a block of the same subject. */
  block(block: Omit<Block, "createdAt">, by: Orderer): Promise<Ordered<{ readonly block: Block }>>;
  /** Resolves to false, and nothing is done, when there is no such block. */
  unblock(subject: BlockSubject, by: Orderer): Promise<boolean>;
  /** Takes blocks away that have ended. Never rejects. */
  endPastBlocks(): Promise<void>;
};

/** Makes the orders of one plugin. */
export function createOperatorOrders(deps: {
  readonly registry: SessionRegistry;
  readonly endings: SessionEndings;
  readonly adoption: Adoption;
  readonly notBefores: NotBefores;
  readonly blocks: Blocks;
  readonly sessions: SessionStore;
  readonly tokens: Pick<TokenReader, "newestToken">;
  readonly door: Door;
  readonly now: () => Date;
  readonly log: Log;
}): OperatorOrders {
  const { registry, endings, adoption, notBefores, blocks, sessions, tokens, door, now, log } = deps;

  /** Later than whatever was issued, or may have been issued by now. */
  async function deriveNotBefore(label: Label, at: Date): Promise<Date> {
    const kinds = ["hmac", "jwt"] as const;
    // A store that cannot be read must not keep an operator from acting: what is ahead of now then lives two seconds longer.
    const newest = await Promise.all(kinds.map((kind) => tokens.newestToken(label, kind).catch(() => undefined)));
    return deriveOperatorNotBefore(at, newest);
  }

  /** True when every session of the label that there may be was known, and the edge was told of all of them. */
  async function end(label: Label, work: () => Promise<boolean>): Promise<boolean> {
    // Whom the process before this one admitted is met by the order when it is adopted; until then nobody can say who serves.
    if (!adoption.isDone && !(await adoption.awaitLabel(label))) return false;
    return await work();
  }

  async function attempt(label: Label | undefined, work: Promise<unknown>): Promise<boolean> {
    try {
      return (await work) !== false;
    } catch (cause) {
      log.error({ label, cause: String(cause) }, "an operator's order could not be enforced at the edge yet");
      return false;
    }
  }

  const both = async (one: Promise<boolean>, other: Promise<boolean>): Promise<boolean> => (await one) && (await other);
  const endAll = (label: Label, how: SessionEnd): Promise<boolean> =>
    attempt(
      label,
      end(label, () => endings.evictLabel(label, how)),
    );

  return {
    async revoke(label, by) {
      const at = now();
      const notBefore = await deriveNotBefore(label, at);
      await sessions.saveOperatorRevocation({ label, notBefore, at }, describeRevoked(label, { notBefore, at, by }));
      // First: a login that is being decided meets it, or is in the registry already.
      notBefores.order(label, notBefore);
      const ended = registry.living(label).filter((session) => isRevoked(session, notBefore)).length;
      return {
        notBefore,
        ended,
        enforced: attempt(
          label,
          end(label, () => endings.evictOlder(label, notBefore)),
        ),
      };
    },

    async kick(label, by) {
      const ended = registry.living(label).length;
      await sessions.saveEvents([{ at: now(), event: "session.kicked", label, detail: { sessions: ended, by } }]);
      return { ended, enforced: endAll(label, "kicked") };
    },

    async block({ subject, reason, endsAt }, by) {
      const block = { subject, reason, endsAt, createdAt: now() };
      await blocks.set(block, by);
      const label = parseLabel(subject);
      if (label === undefined) {
        const from = [...registry.all()].filter(({ source }) => blocks.hasSource(source));
        const evicted = Promise.all(from.map((session) => endings.evict(session, "evicted"))).then((all) => !all.includes(false));
        const told = attempt(undefined, door.blockNetwork(subject as Network));
        return { block, ended: from.length, enforced: both(told, attempt(undefined, evicted)) };
      }
      const ended = registry.living(label).length;
      return { block, ended, enforced: both(attempt(label, door.block(label)), endAll(label, "evicted")) };
    },

    async unblock(subject, by) {
      if (!(await blocks.lift(subject, by))) return false;
      await open(subject);
      return true;
    },

    async endPastBlocks() {
      for (const subject of await blocks.endPast()) await open(subject);
    },
  };

  /** An edge that could not be told refuses until it is told again with everything. */
  async function open(subject: BlockSubject): Promise<void> {
    const label = parseLabel(subject);
    await attempt(label, label === undefined ? door.unblockNetwork(subject as Network) : door.unblock(label));
  }
}
