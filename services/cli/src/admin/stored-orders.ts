/**
 * Orders while the plugin is away: written to its file under its lock, with the events that it would have written, so that
 * it meets them before it lets anybody in. Never behind the back of a plugin that runs: the lock is the plugin's own.
 */
import { join } from "node:path";
import {
  type Block,
  type BlockSubject,
  deriveOperatorNotBefore,
  describeBlockGone,
  describeBlockSet,
  describeRevoked,
  type Label,
  type Orderer,
} from "@keyhole/core";
import { type EventSettings, openSessionStore, openStateLock, openTokenReader } from "@keyhole/store";
import { finishRestore } from "../backup/restore-swap.ts";
import type { StateDirectory } from "../state/state-directory.ts";

/** What can be ordered then. */
export type StoredOrders = AsyncDisposable & {
  revoke(label: Label): Promise<{ readonly notBefore: Date }>;
  block(block: Omit<Block, "createdAt">): Promise<Block>;
  /** False when there was no such block. */
  unblock(subject: BlockSubject): Promise<boolean>;
};

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const tokenKinds = ["hmac", "jwt"] as const;

/** Another command like this one is done by then. */
const patienceMs = 2000;

/** Takes the lock and opens the file. Throws `STATE_LOCKED` when the plugin has it, and the store's faults. */
export async function openStoredOrders(
  state: StateDirectory,
  by: { readonly orderer: Orderer; readonly pid: number; readonly now: () => Date; readonly events: EventSettings },
): Promise<StoredOrders> {
  const { orderer, now } = by;
  await using stack = new AsyncDisposableStack();
  stack.use(await openStateLock({ dir: state.folder("lock", "plugin"), pid: by.pid, patienceMs }));
  // A restore that was killed is in force as a whole or not at all: whoever writes next sees to that first.
  await finishRestore(state, by.pid);
  const sessions = stack.use(await openSessionStore({ path: join(state.path, "sessions.db"), log: silent, events: by.events }));
  const tokens = stack.use(await openTokenReader({ path: join(state.path, "tokens.db") }));
  const running = stack.move();
  return {
    async revoke(label) {
      const at = now();
      // Tokens that cannot be read must not keep an operator from acting.
      const newest = await Promise.all(tokenKinds.map((kind) => tokens.newestToken(label, kind).catch(() => undefined)));
      const notBefore = deriveOperatorNotBefore(at, newest);
      await sessions.saveOperatorRevocation({ label, notBefore, at }, describeRevoked(label, { notBefore, at, by: orderer }));
      return { notBefore };
    },
    async block(order) {
      const block = { ...order, createdAt: now() };
      await sessions.saveBlock(block, describeBlockSet(block, orderer));
      return block;
    },
    unblock: (subject) => sessions.removeBlock(subject, describeBlockGone(subject, now(), orderer)),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
