/** Times as people write them: `90m`, `24h`, `30d`. */
import { InvalidArgumentError } from "commander";

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const mostMs = 366 * 86_400_000;

/** Reads one of at least `least`, at most 366 days, into milliseconds. Throws what the command line tells as wrong usage. */
export function parseDuration(text: string, { least, hint = "" }: { readonly least: `${number}s`; readonly hint?: string }): number {
  const [, count, unit = ""] = /^([1-9][0-9]{0,7})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (unitMs[unit] ?? Number.NaN);
  if (ms >= Number.parseInt(least, 10) * 1000 && ms <= mostMs) return ms;
  throw new InvalidArgumentError(`It must be a time such as 90m, 24h or 30d, from ${least} to 366d.${hint}`);
}
