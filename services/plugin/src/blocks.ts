/**
 * Who is kept out by an operator: labels, and networks that clients come from. The plugin is their only writer, so memory is
 * the truth as soon as the row is durable; a block that has ended counts no more, whether its row could be taken away or not.
 */
import {
  type Block,
  type BlockSubject,
  createNetworkList,
  describeBlockGone,
  describeBlockSet,
  type Label,
  type Network,
  type Orderer,
  parseLabel,
  type SessionStore,
} from "@keyhole/core";
import type { Log } from "./log.ts";

/** The blocks of one plugin. */
export type Blocks = {
  isBlocked(label: Label): boolean;
  /** True when the client's address (`ip:port`) lies in a blocked network. */
  hasSource(source: string | undefined): boolean;
  labels(): ReadonlySet<Label>;
  networks(): ReadonlySet<Network>;
  /** Those in force, the newest first. */
  all(): readonly Block[];
  find(subject: BlockSubject): Block | undefined;
  /** Durable when it resolves; from then on logins are refused. */
  set(block: Block, by: Orderer): Promise<void>;
  /** Durable when it resolves; false when there was none. */
  lift(subject: BlockSubject, by: Orderer): Promise<boolean>;
  /** Takes the blocks away that have ended, and tells which. Never rejects. */
  endPast(): Promise<readonly BlockSubject[]>;
};

/** Makes them from what is stored. */
export function createBlocks(deps: {
  readonly stored: readonly Block[];
  readonly sessions: Pick<SessionStore, "saveBlock" | "removeBlock">;
  readonly now: () => Date;
  readonly log: Log;
}): Blocks {
  const { sessions, now, log } = deps;
  const bySubject = new Map<BlockSubject, Block>(deps.stored.map((block) => [block.subject, block]));
  let isIn = deriveList();
  let isWell = true;

  const holds = (block: Block | undefined): block is Block => block !== undefined && (block.endsAt === undefined || block.endsAt > now());
  const current = (): readonly Block[] => [...bySubject.values()].filter(holds);

  function deriveList(): (address: string) => boolean {
    return createNetworkList([...bySubject.values()].flatMap((block) => networkOf(block) ?? []));
  }

  async function remove(subject: BlockSubject, by: Orderer | undefined): Promise<boolean> {
    const wasThere = await sessions.removeBlock(subject, describeBlockGone(subject, now(), by));
    bySubject.delete(subject);
    isIn = deriveList();
    return wasThere;
  }

  return {
    isBlocked: (label) => holds(bySubject.get(label)),
    hasSource(source) {
      if (source === undefined) return false;
      const address = source.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
      if (!isIn(address)) return false;
      // Rarely: one of the networks may have ended a moment ago.
      return createNetworkList(current().flatMap((block) => networkOf(block) ?? []))(address);
    },
    labels: () => new Set(current().flatMap(({ subject }) => parseLabel(subject) ?? [])),
    networks: () => new Set(current().flatMap((block) => networkOf(block) ?? [])),
    all: () => current().toSorted((one, other) => other.createdAt.getTime() - one.createdAt.getTime()),
    find(subject) {
      const block = bySubject.get(subject);
      return holds(block) ? block : undefined;
    },
    async set(block, by) {
      await sessions.saveBlock(block, describeBlockSet(block, by));
      bySubject.set(block.subject, block);
      isIn = deriveList();
    },
    lift: (subject, by) => remove(subject, by),
    async endPast() {
      const ended = [...bySubject.values()].filter((block) => !holds(block));
      const gone: BlockSubject[] = [];
      for (const { subject } of ended) {
        try {
          await remove(subject, undefined);
          gone.push(subject);
          isWell = true;
        } catch (cause) {
          // It counts no more all the same, and is tried again.
          if (isWell) log.error({ cause: String(cause) }, "a block that has ended could not be taken away");
          isWell = false;
        }
      }
      return gone;
    },
  };
}

const networkOf = ({ subject }: Block): Network | undefined => (parseLabel(subject) === undefined ? (subject as Network) : undefined);
