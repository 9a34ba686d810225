/**
 * What sessions.db is given, gathered for a moment: what one session's Login, NewProxy and end say within it becomes one
 * row, and all of it one transaction. Nothing waits for these rows; what a kill takes with it is said in the README.
 */
import { type CredentialKind, type EventEntry, isSelfSigned, type Label } from "@keyhole/core";
import type { EventLog } from "./event-log.ts";
import { type SessionRow, type SessionWrites, saveNewestIssued, saveRow } from "./session-queries.ts";

/** How long rows are gathered, in ms. */
const gatherMs = 50;

/** The most rows in one transaction: writing them holds up the event loop. */
const mostRows = 512;

/** Rows that are not durable yet, the newest of each. */
export type SessionBuffer = {
  /** Each resolves when what it was given is durable, and rejects when it could not be written. */
  save(row: SessionRow): Promise<void>;
  see(label: Label, at: number): Promise<void>;
  watch(at: number): Promise<void>;
  note(entries: readonly EventEntry[]): Promise<void>;
  find(label: Label, generation: number): SessionRow | undefined;
  /** Whole seconds. */
  newestIssuedAt(label: Label, kind: CredentialKind): number | undefined;
  lastSeen(label: Label): number | undefined;
  /** Writes what is gathered, without waiting for more. Never rejects. */
  flush(): Promise<void>;
};

type Batch = {
  readonly rows: Map<string, SessionRow>;
  /** The row with the newest issued-at of each label and self-signed kind: not in `rows` any more when its session came back with another. */
  readonly newest: Map<string, SessionRow>;
  readonly seen: Map<Label, number>;
  watched: number | undefined;
  readonly events: EventEntry[];
  readonly done: PromiseWithResolvers<void>;
};

/** Makes the buffer in front of one writer; `write` is its transaction. */
export function createSessionBuffer(
  write: (work: (queries: SessionWrites & { readonly journal: EventLog }) => void) => Promise<void>,
): SessionBuffer {
  let gathering: Batch | undefined;
  let writing: Batch | undefined;
  let flushing = Promise.resolve();

  function gather(): Batch {
    if (gathering !== undefined) return gathering;
    gathering = { rows: new Map(), newest: new Map(), seen: new Map(), watched: undefined, events: [], done: Promise.withResolvers() };
    // Whoever asked for it is told; nobody has to listen.
    gathering.done.promise.catch(() => {});
    setTimeout(flush, gatherMs);
    return gathering;
  }

  /** One after the other: an older row must not overtake a newer one. */
  function flush(): Promise<void> {
    flushing = flushing.then(async () => {
      const batch = gathering;
      if (batch === undefined) return;
      gathering = undefined;
      writing = batch;
      await writeBatch(batch).then(batch.done.resolve, batch.done.reject);
      writing = undefined;
    });
    return flushing;
  }

  async function writeBatch(batch: Batch): Promise<void> {
    const rows = [...batch.rows.values()];
    const newest = [...batch.newest.values()];
    const seen = [...batch.seen];
    const { watched, events } = batch;
    for (let start = 0; start === 0 || start < Math.max(rows.length, newest.length, seen.length, events.length); start += mostRows) {
      await write((queries) => {
        for (const row of rows.slice(start, start + mostRows)) saveRow(queries, row);
        for (const row of newest.slice(start, start + mostRows)) saveNewestIssued(queries, row);
        for (const [label, at] of seen.slice(start, start + mostRows)) queries.see.run(label, at);
        for (const entry of events.slice(start, start + mostRows)) queries.journal.note(entry);
        if (start === 0 && watched !== undefined) queries.watch.run(watched);
      });
    }
  }

  function raiseNewest(batch: Batch, row: SessionRow): void {
    const ofKind = keyOf(row.label, row.kind);
    const newest = batch.newest.get(ofKind);
    if (newest === undefined || newest.issued_at < row.issued_at) batch.newest.set(ofKind, row);
  }

  const keyOf = (label: Label | string, of: number | string): string => `${label} ${of}`;
  return {
    save(row) {
      const batch = gather();
      batch.rows.set(keyOf(row.label, row.generation), row);
      if (isSelfSigned(row.kind as CredentialKind)) raiseNewest(batch, row);
      return batch.done.promise;
    },
    see(label, at) {
      const batch = gather();
      batch.seen.set(label, Math.max(at, batch.seen.get(label) ?? at));
      return batch.done.promise;
    },
    watch(at) {
      const batch = gather();
      batch.watched = Math.max(at, batch.watched ?? at);
      return batch.done.promise;
    },
    note(entries) {
      const batch = gather();
      batch.events.push(...entries);
      return batch.done.promise;
    },
    find(label, generation) {
      const key = keyOf(label, generation);
      return gathering?.rows.get(key) ?? writing?.rows.get(key);
    },
    newestIssuedAt(label, kind) {
      const key = keyOf(label, kind);
      return latest(gathering?.newest.get(key)?.issued_at, writing?.newest.get(key)?.issued_at);
    },
    lastSeen: (label) => latest(gathering?.seen.get(label), writing?.seen.get(label)),
    flush,
  };
}

function latest(...instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.filter((at) => at !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
