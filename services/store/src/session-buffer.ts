/**
 * What sessions.db is given, gathered for a moment: what one session's Login, NewProxy and end say within it becomes one
 * row, and all of it one transaction. Nothing waits for these rows; what a kill takes with it is said in the README.
 */
import type { Label } from "@keyhole/core";
import { type SessionRow, type SessionWrites, saveRow } from "./session-queries.ts";

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
  find(label: Label, generation: number): SessionRow | undefined;
  lastSeen(label: Label): number | undefined;
  /** Writes what is gathered, without waiting for more. Never rejects. */
  flush(): Promise<void>;
};

type Batch = {
  readonly rows: Map<string, SessionRow>;
  readonly seen: Map<Label, number>;
  watched: number | undefined;
  readonly done: PromiseWithResolvers<void>;
};

/** Makes the buffer in front of one writer; `write` is its transaction. */
export function createSessionBuffer(write: (work: (queries: SessionWrites) => void) => Promise<void>): SessionBuffer {
  let gathering: Batch | undefined;
  let writing: Batch | undefined;
  let flushing = Promise.resolve();

  function gather(): Batch {
    if (gathering !== undefined) return gathering;
    gathering = { rows: new Map(), seen: new Map(), watched: undefined, done: Promise.withResolvers() };
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
    const seen = [...batch.seen];
    const { watched } = batch;
    for (let start = 0; start === 0 || start < Math.max(rows.length, seen.length); start += mostRows) {
      await write((queries) => {
        for (const row of rows.slice(start, start + mostRows)) saveRow(queries, row);
        for (const [label, at] of seen.slice(start, start + mostRows)) queries.see.run(label, at);
        if (start === 0 && watched !== undefined) queries.watch.run(watched);
      });
    }
  }

  const keyOf = (label: Label | string, generation: number): string => `${label} ${generation}`;
  return {
    save(row) {
      const batch = gather();
      batch.rows.set(keyOf(row.label, row.generation), row);
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
    find(label, generation) {
      const key = keyOf(label, generation);
      return gathering?.rows.get(key) ?? writing?.rows.get(key);
    },
    lastSeen(label) {
      const waiting = [gathering?.seen.get(label), writing?.seen.get(label)].filter((at) => at !== undefined);
      return waiting.length === 0 ? undefined : Math.max(...waiting);
    },
    flush,
  };
}
