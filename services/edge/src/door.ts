/**
 * The one adapter between the plugin and a running edge (DESIGN.md §1), and the only writer of the map files. File first,
 * then runtime: at most the file is newer, never older, than what a restarted edge needs. Taking away comes first, though:
 * a label that leaves, and what is blocked, is gone from the runtime even when the disk is full or slow, and only the block's
 * acknowledgement waits for the disk. Logins go on with a full disk too, so `put` does not fail for it.
 *
 * An edge in another process may be away. Coming and going is then in the files only. A block is as good without an edge as
 * with one, since nobody serves and the next edge reads the file; but it is not acknowledged when an edge may be there that
 * has not heard of it.
 */
import { type Door, Fault, type Label, type LiveEntry, type Network } from "@keyhole/core";
import { createReachEdge } from "./edge-absence.ts";
import type { EdgeRuntime } from "./edge-runtime.ts";
import type { Log } from "./log.ts";
import { lastSeenLimit, mapNames, readMapFiles, renderMap } from "./map-files.ts";
import { type CommitResult, createMapWriter } from "./map-writer.ts";

/** So long a removal waits for its file before the runtime is changed anyway. */
const patienceMs = 200;

/** Beyond this many labels last-seen.map is written at most so often, in ms. */
const manySeen = 5000;
const seenEveryMs = 2000;

/** What of one kind is blocked and since when, with the file that says so. */
type Blocks<Key> = { readonly file: string; since: Map<Key, string> };

/** What is acknowledged only when these files are on the disk. */
type Promised = { readonly what: string; readonly files: readonly string[] };

/** Makes the door to a running edge. Has no effect until it is used; `log` gets what the disk refused. */
export function createDoor(options: {
  readonly mapsDir: string;
  readonly runtime: EdgeRuntime;
  readonly now: () => Date;
  readonly log?: Log;
}): Door {
  const { mapsDir, runtime, now, log } = options;
  const reach = createReachEdge(log);
  /** What the files say, or will say after the commit under way. An entry's identity tells whether a later call overtook it. */
  let live = new Map<Label, LiveEntry>();
  let lastSeen = new Map<Label, Date>();
  const labelBlocks: Blocks<Label> = { file: mapNames.blocked, since: new Map() };
  const networkBlocks: Blocks<Network> = { file: mapNames.blockedNetworks, since: new Map() };
  const writer = createMapWriter(mapsDir, [
    // Blocks first: of all files they matter most when the disk has room for one more.
    { name: labelBlocks.file, isFlushed: true, render: () => renderMap(labelBlocks.since) },
    { name: networkBlocks.file, isFlushed: true, render: () => renderMap(networkBlocks.since) },
    { name: mapNames.live, isFlushed: false, render: () => renderMap(timesOfLive(live)) },
    { name: mapNames.lastSeen, isFlushed: false, render: () => renderMap(times(lastSeen)) },
  ]);

  let isSeenDue = false;
  let isLoaded = false;
  let loading: Promise<Error | undefined> | undefined;
  /** The files are what a former door left; a change is made to them, not instead of them. Tells why that is impossible. */
  const load = async (): Promise<Error | undefined> => {
    if (isLoaded) return undefined;
    loading ??= readMapFiles(mapsDir, log).then(
      (content) => {
        if (isLoaded) return undefined;
        isLoaded = true;
        live = new Map([...content.live].map(([label, since]) => [label, { label, since }]));
        lastSeen = new Map(content.lastSeen);
        labelBlocks.since = new Map(content.blocked);
        networkBlocks.since = new Map(content.blockedNetworks);
        return undefined;
      },
      (error: Error) => {
        loading = undefined;
        return error;
      },
    );
    return loading;
  };
  /** Writes the files. `load` must have said yes, or the write would wipe what could not be read. */
  const commit = async (names: readonly string[], unreadable: Error | undefined): Promise<CommitResult> => {
    const failed = unreadable === undefined ? await writer.commit(names) : new Map(names.map((name) => [name, unreadable]));
    for (const [file, error] of failed) {
      log?.error({ file, reason: error.message }, "a map file could not be written; a restarted edge would not know the last changes");
    }
    return failed;
  };
  const see = (label: Label, date: Date): void => {
    // Deleted first: the map's order is the order of leaving, and the oldest is forgotten.
    lastSeen.delete(label);
    lastSeen.set(label, date);
    for (const oldest of lastSeen.keys()) {
      if (lastSeen.size <= lastSeenLimit) break;
      lastSeen.delete(oldest);
    }
  };
  const expectDurable = (failed: CommitResult, { what, files }: Promised): void => {
    for (const file of files) {
      const cause = failed.get(file);
      if (cause === undefined) continue;
      throw new Fault(
        "STATE_UNWRITABLE",
        `${what} is not durable: ${file} in ${mapsDir} cannot be written (${cause.message}). Free or mend the disk and repeat the command.`,
        { cause },
      );
    }
  };

  /** Tells the edge what must not be lost: an edge that is gone reads it from the files, one that is silent must hear it. */
  const insist = async (call: () => Promise<void>): Promise<"told" | "gone"> => {
    const reached = await reach(call);
    if ("value" in reached) return "told";
    if (!reached.isGone) throw reached.fault;
    return "gone";
  };
  /**
   * Tells the edge, at the latest after a moment, and waits for the files. An edge that was gone then may have been started
   * since, and may have read them before they were written: it is told after all.
   */
  const insistBoth = async (committed: Promise<CommitResult>, promised: Promised, call: () => Promise<void>): Promise<void> => {
    const wasWritten = await settledWithin(committed, patienceMs);
    const heard = await insist(call);
    expectDurable(await committed, promised);
    if (heard === "gone" && !wasWritten) await insist(call);
  };

  const block = async <Key extends Label | Network>(blocks: Blocks<Key>, key: Key, tell: () => Promise<void>): Promise<void> => {
    const unreadable = await load();
    blocks.since.set(key, now().toISOString());
    await insistBoth(commit([blocks.file], unreadable), { what: "The block", files: [blocks.file] }, async () => {
      if (blocks.since.has(key)) await tell();
    });
  };
  const unblock = async <Key extends Label | Network>(blocks: Blocks<Key>, key: Key, tell: () => Promise<void>): Promise<void> => {
    const unreadable = await load();
    const former = blocks.since.get(key);
    blocks.since.delete(key);
    const failed = await commit([blocks.file], unreadable);
    // The file still says blocked; so do we.
    if (failed.has(blocks.file) && former !== undefined && !blocks.since.has(key)) blocks.since.set(key, former);
    expectDurable(failed, { what: "The unblocking", files: [blocks.file] });
    if (!blocks.since.has(key)) await insist(tell);
  };

  /** A long list of who was here is megabytes, and whoever leaves would write all of it: then it is written now and then. */
  const dueNames = (): readonly string[] => {
    if (lastSeen.size <= manySeen) return [mapNames.lastSeen];
    if (isSeenDue) return [];
    isSeenDue = true;
    setTimeout(() => {
      isSeenDue = false;
      void commit([mapNames.lastSeen], undefined);
    }, seenEveryMs).unref();
    return [];
  };

  return {
    async put(entry) {
      const unreadable = await load();
      live.set(entry.label, entry);
      await commit([mapNames.live], unreadable);
      // Taken away again while the file was written: the later call has the last word.
      if (live.get(entry.label) === entry) await reach(() => runtime.put(entry));
    },
    async delete(label, leave) {
      const unreadable = await load();
      live.delete(label);
      see(label, leave.lastSeen);
      const committed = commit([mapNames.live, ...dueNames()], unreadable);
      await settledWithin(committed, patienceMs);
      if (!live.has(label)) await reach(() => runtime.delete(label, leave));
      await committed;
    },
    async replaceAll(state) {
      // What the files held before does not matter any more, readable or not.
      isLoaded = true;
      live = new Map(state.live.map((entry) => [entry.label, entry]));
      lastSeen = newest(state.lastSeen);
      const at = now().toISOString();
      labelBlocks.since = sinceWhen(state.blocked, labelBlocks.since, at);
      networkBlocks.since = sinceWhen(state.blockedNetworks, networkBlocks.since, at);
      const files = [labelBlocks.file, networkBlocks.file];
      const committed = commit([...files, mapNames.live, mapNames.lastSeen], undefined);
      // As it is by then: calls that came meanwhile are in it, and their own turn at the runtime comes after this one.
      const push = () =>
        runtime.replaceAll({
          live: [...live.values()],
          lastSeen,
          blocked: new Set(labelBlocks.since.keys()),
          blockedNetworks: new Set(networkBlocks.since.keys()),
        });
      await insistBoth(committed, { what: "The list of blocks", files }, push);
    },
    async handOver(label) {
      await reach(() => runtime.handOver(label));
    },
    block: (label) => block(labelBlocks, label, () => runtime.block(label)),
    unblock: (label) => unblock(labelBlocks, label, () => runtime.unblock(label)),
    blockNetwork: (network) => block(networkBlocks, network, () => runtime.blockNetwork(network)),
    unblockNetwork: (network) => unblock(networkBlocks, network, () => runtime.unblockNetwork(network)),
    async cut(connectionId) {
      const reached = await reach(() => runtime.cut(connectionId));
      return "value" in reached && reached.value;
    },
    async claim(connectionId, session) {
      await reach(() => runtime.claim(connectionId, session));
    },
    async release(connectionId) {
      await reach(() => runtime.release(connectionId));
    },
    async keepOnly(holders) {
      await reach(() => runtime.keepOnly(holders));
    },
    async claimedBy(holder) {
      const reached = await reach(() => runtime.claimedBy(holder));
      return "value" in reached ? reached.value : undefined;
    },
    async readEvidence(cursor) {
      const reached = await reach(() => runtime.readEvidence(cursor));
      return "value" in reached ? reached.value : undefined;
    },
    async connectionOf(clientAddress) {
      const reached = await reach(() => runtime.connectionOf(clientAddress));
      if ("value" in reached) return reached.value;
      throw reached.fault;
    },
  };
}

/** Waits for a promise, but not longer, and tells whether it is settled; says nothing about how it went. */
function settledWithin(promise: Promise<unknown>, waitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs, false);
    const done = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(done, done);
  });
}

/** What is to be blocked, each with the time of its block: what was blocked before keeps its own. */
function sinceWhen<Key>(keys: ReadonlySet<Key>, former: ReadonlyMap<Key, string>, at: string): Map<Key, string> {
  return new Map([...keys].map((key) => [key, former.get(key) ?? at]));
}

function newest(lastSeen: ReadonlyMap<Label, Date>): Map<Label, Date> {
  return new Map([...lastSeen].sort(([, a], [, b]) => a.getTime() - b.getTime()).slice(-lastSeenLimit));
}

function* times(dates: ReadonlyMap<Label, Date>): Iterable<readonly [Label, string]> {
  for (const [label, date] of dates) yield [label, date.toISOString()];
}

function* timesOfLive(live: ReadonlyMap<Label, LiveEntry>): Iterable<readonly [Label, string]> {
  for (const { label, since } of live.values()) yield [label, since.toISOString()];
}
