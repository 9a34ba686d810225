/**
 * `keyhole events`: what happened, both chains by time, read from the files: nothing has to run. Without `--since` and `--limit` the
 * newest 50. `--follow` goes on until it is interrupted, or whoever reads its output has gone.
 */
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { type EventName, events, isEventName } from "@keyhole/core";
import { InvalidArgumentError } from "commander";
import { parsePastedWallet } from "../admin/subject-text.ts";
import { type EventFilter, type HistoryEvent, openHistory } from "../audit/read-events.ts";
import { eventHeading, renderEventJson, renderEventLine } from "../audit/render-event.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { complainRefusal } from "./operator-context.ts";
import { openReading } from "./reading.ts";

/** What may be said on the command line, read. */
export type EventsOptions = {
  readonly config?: string;
  readonly follow?: boolean;
  readonly json?: boolean;
  readonly address?: string;
  readonly event?: EventName;
  /** An age in ms, or an instant. */
  readonly since?: number | Date;
  readonly limit?: number;
};

const usualLimit = 50;
const pollMs = 300;

/** Prints them. Resolves when all are printed, or `--follow` was interrupted. */
export async function runEvents(options: EventsOptions): Promise<ExitCode> {
  const { config, world } = openReading(options);
  const label = options.address === undefined ? undefined : parsePastedWallet(options.address, config.domain);
  if (label?.granted === false) {
    const complain = (text: string): void => void process.stderr.write(`keyhole: ${text}\n`);
    return complainRefusal({ complain }, label.refusal, exitCodes.usage);
  }
  const { event, since, json = false, limit = since === undefined ? usualLimit : undefined } = options;
  const filter: EventFilter = {
    label: label?.value,
    event,
    since: typeof since === "number" ? new Date(world.now().getTime() - since) : since,
  };
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort());
  // `| head` has what it wanted.
  process.stdout.once("error", () => stop.abort());
  await using history = await openHistory(config.stateDir);
  const print = createPrinter(json, stop.signal);
  if (limit === undefined) for await (const row of history.all(filter)) await print(row);
  else for (const row of await history.newest(filter, limit)) await print(row);
  if (options.follow !== true) {
    if (!print.hasPrinted() && !json) process.stderr.write("There are no such events.\n");
    return exitCodes.ok;
  }
  while (!stop.signal.aborted) {
    for (const row of await history.fresh(filter)) await print(row);
    await wait(pollMs, undefined, { signal: stop.signal }).catch(() => {});
  }
  return exitCodes.ok;
}

/** Writes a line, and waits for a reader that is slower than we are. */
function createPrinter(isJson: boolean, stop: AbortSignal): ((row: HistoryEvent) => Promise<void>) & { hasPrinted(): boolean } {
  let isFirst = true;
  async function write(line: string): Promise<void> {
    if (stop.aborted || process.stdout.write(`${line}\n`)) return;
    await once(process.stdout, "drain", { signal: stop }).catch(() => {});
  }
  async function print(row: HistoryEvent): Promise<void> {
    if (isFirst && !isJson) await write(eventHeading);
    isFirst = false;
    await write(isJson ? renderEventJson(row) : renderEventLine(row));
  }
  return Object.assign(print, { hasPrinted: () => !isFirst });
}

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads `--since`: `90m`, `24h`, or an instant. Throws what the command line tells as wrong usage. */
export function parseSince(text: string): number | Date {
  const [, count, unit = ""] = /^([1-9][0-9]{0,6})([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * (units[unit] ?? Number.NaN);
  const at = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/.test(text) ? new Date(text) : undefined;
  if (at !== undefined && !Number.isNaN(at.getTime())) return at;
  throw new InvalidArgumentError("It must be an age such as 90m, 24h or 7d, or an instant such as 2026-01-31T12:00:00Z.");
}

/** Reads `--event`. Throws what the command line tells as wrong usage. */
export function parseEventName(text: string): EventName {
  if (isEventName(text)) return text;
  throw new InvalidArgumentError(`It must be one of ${Object.keys(events).join(", ")}.`);
}

/** Reads `--limit`. Throws what the command line tells as wrong usage. */
export function parseLimit(text: string): number {
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 1 to 999999. For all there are: --since with a time before the first.");
}
