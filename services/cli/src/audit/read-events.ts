/** Both chains as one history by time: what was, the newest so many of it, and what comes. */
import { join } from "node:path";
import type { EventRecord, EventWriter, Label } from "@keyhole/core";
import { type EventReader, openEventReader } from "@keyhole/store";
import { writers } from "./verify-audit.ts";

/** An event with the chain that it stands in. */
export type HistoryEvent = EventRecord & { readonly writer: EventWriter };

/** Which events are wanted. */
export type EventFilter = { readonly label: Label | undefined; readonly event: string | undefined; readonly since: Date | undefined };

/** The history of a state directory. */
export type History = AsyncDisposable & {
  /** The newest `limit` that are wanted, the oldest first. */
  newest(filter: EventFilter, limit: number): Promise<readonly HistoryEvent[]>;
  /** All that are wanted, the oldest first, as many at a time as memory likes. */
  all(filter: EventFilter): AsyncIterable<HistoryEvent>;
  /** Those that are wanted and came since the last question, or since it was opened, by time. */
  fresh(filter: EventFilter): Promise<readonly HistoryEvent[]>;
};

const chunk = 2000;

/** Opens it. Where a chain ends now is read at once: what comes later is `fresh`. Rejects with `STORE_UNAVAILABLE`. */
export async function openHistory(stateDir: string): Promise<History> {
  await using stack = new AsyncDisposableStack();
  const chains = writers.map((writer) => ({
    writer,
    reader: stack.use(openEventReader({ path: join(stateDir, `${writer}.db`), writer })),
    /** Up to here everything was handed over, or is older than the opening. */
    seen: 0,
  }));
  for (const chain of chains) chain.seen = await readEnd(chain.reader);
  const running = stack.move();
  return {
    async newest(filter, limit) {
      const found = await Promise.all(chains.map((chain) => collectNewest(chain, filter, limit)));
      return merge(found).slice(-limit);
    },
    all: (filter) => mergeStreams(chains.map((chain) => streamChain(chain, filter))),
    async fresh(filter) {
      const found: HistoryEvent[][] = [];
      for (const chain of chains) found.push(await takeFresh(chain, filter));
      return merge(found);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

type Chain = { readonly writer: EventWriter; readonly reader: EventReader; seen: number };

const readEnd = async (reader: EventReader): Promise<number> => (await reader.bounds()).head?.sequence ?? 0;

const isWanted = (row: EventRecord, { label, event, since }: EventFilter): boolean =>
  (label === undefined || row.label === label) &&
  (event === undefined || row.event === event) &&
  (since === undefined || !(row.at < since));

/** Rows lie by time but for clocks that were set: a chunk that is older as a whole ends the search. */
const isPast = (rows: readonly EventRecord[], { since }: EventFilter): boolean => since !== undefined && rows.every(({ at }) => at < since);

async function collectNewest({ writer, reader, seen }: Chain, filter: EventFilter, limit: number): Promise<readonly HistoryEvent[]> {
  const found: HistoryEvent[] = [];
  let before = seen + 1;
  while (found.length < limit) {
    const rows = await reader.before(before, chunk);
    for (const row of rows) if (found.length < limit && isWanted(row, filter)) found.push({ ...row, writer });
    const last = rows.at(-1);
    if (last === undefined || isPast(rows, filter)) break;
    before = last.sequence;
  }
  return found.reverse();
}

async function* streamChain({ writer, reader, seen }: Chain, filter: EventFilter): AsyncIterable<HistoryEvent> {
  let after = await findStart(reader, seen, filter);
  while (after < seen) {
    const rows = await reader.after(after, chunk);
    for (const row of rows) if (row.sequence <= seen && isWanted(row, filter)) yield { ...row, writer };
    after = rows.at(-1)?.sequence ?? seen;
  }
}

/** The sequence behind which everything lies that is wanted by its time. */
async function findStart(reader: EventReader, seen: number, filter: EventFilter): Promise<number> {
  if (filter.since === undefined) return 0;
  let before = seen + 1;
  for (;;) {
    const rows = await reader.before(before, chunk);
    const last = rows.at(-1);
    if (last === undefined || isPast(rows, filter)) return before - 1;
    before = last.sequence;
  }
}

async function takeFresh(chain: Chain, filter: EventFilter): Promise<HistoryEvent[]> {
  const { writer, reader } = chain;
  const end = await readEnd(reader);
  // A backup was put in its place: what it holds was handed over, or is no news.
  if (end < chain.seen) chain.seen = end;
  const found: HistoryEvent[] = [];
  while (chain.seen < end) {
    const rows = await reader.after(chain.seen, chunk);
    for (const row of rows) if (isWanted(row, filter)) found.push({ ...row, writer });
    chain.seen = rows.at(-1)?.sequence ?? end;
  }
  return found;
}

/** By time; each chain in its own order. */
function merge(chains: readonly (readonly HistoryEvent[])[]): readonly HistoryEvent[] {
  const [first = [], second = []] = chains;
  const merged: HistoryEvent[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [one, other] = [first[i], second[j]];
    if (one === undefined && other === undefined) return merged;
    if (one !== undefined && (other === undefined || !(other.at < one.at))) {
      merged.push(one);
      i += 1;
    } else if (other !== undefined) {
      merged.push(other);
      j += 1;
    }
  }
}

async function* mergeStreams(streams: readonly AsyncIterable<HistoryEvent>[]): AsyncIterable<HistoryEvent> {
  const waiting = await Promise.all(
    streams.map(async (stream) => {
      const iterator = stream[Symbol.asyncIterator]();
      return { iterator, next: await iterator.next() };
    }),
  );
  for (;;) {
    const open = waiting.filter(({ next }) => next.done !== true);
    const [first, ...others] = open;
    if (first === undefined) return;
    const oldest = others.reduce(
      (best, each) => ((each.next.value as HistoryEvent).at < (best.next.value as HistoryEvent).at ? each : best),
      first,
    );
    yield oldest.next.value as HistoryEvent;
    oldest.next = await oldest.iterator.next();
  }
}
