/**
 * What frps says: each line adapted into our log (component "frps") with tickets and run_ids taken out, and the lines kept
 * that explain an end.
 *
 * Clients choose parts of these lines before anybody has admitted them, and a line feed in a name begins a line of their
 * own making. So a line is believed only if it has frp's form and was written when we read it. Any other is marked
 * `unverified`, is never more than an "info", and explains nothing. Bare lines are frps's own only when it dies: Go's panics
 * and frps's refusals to start come last, so they explain an end if nothing came after them. What remains: who
 * writes frp's whole form with the right time into a name is believed.
 */
import { type FrpLogLine, isWrittenBetween, parseFrpLogLine } from "@keyhole/frp";
import type { Log } from "./log.ts";

/** When the lines that are heard now were written: after the read before this one, and not later than now. */
type Moment = { readonly from: Date; readonly to: Date };

/** The words of one run after the other. */
export type FrpsWords = {
  /** A new run begins: what was said before explains nothing any more. */
  forget(): void;
  /** Hears a line and logs it. Without a moment the line is an old one: it is kept, and not logged again. */
  hear(text: string, moment: Moment | undefined): void;
  /** At most `count` lines that explain an end, redacted. Warnings only if asked for: they may have nothing to do with it. */
  lastWords(count: number, withWarnings: boolean): readonly string[];
};

const keptLines = 20;

/** Makes the hearer; it remembers the lines of one run. */
export function createFrpsWords(log: Log): FrpsWords {
  let regular: string[] = [];
  /** The first bare lines since the last regular one: a panic says its reason first, and hundreds of lines of stack after it. */
  let bareHead: string[] = [];
  let bareTail: string[] = [];

  const keep = (line: FrpLogLine): void => {
    if (line.at === undefined) {
      if (bareHead.length < keptLines) bareHead.push(line.message);
      bareTail = [...bareTail, line.message].slice(-keptLines);
      return;
    }
    bareHead = [];
    bareTail = [];
    if (line.level === "warn" || line.level === "error") regular = [...regular, line.message].slice(-keptLines);
  };

  return {
    forget() {
      regular = [];
      bareHead = [];
      bareTail = [];
    },
    hear(text, moment) {
      const line = parseFrpLogLine(text);
      if (line.message.trim() === "") return;
      const isBelieved = line.at !== undefined && (moment === undefined || isWrittenBetween(line.at, moment.from, moment.to));
      if (isBelieved || line.at === undefined) keep(line);
      if (moment === undefined) return;
      const fields = {
        component: "frps",
        source: line.source,
        ...(line.at === undefined ? {} : { at: line.at }),
        ...(isBelieved ? {} : { unverified: true }),
      };
      log[chooseLevel(line, isBelieved)](fields, line.message);
    },
    lastWords(count, withWarnings) {
      const panic = bareHead.find((message) => /^(?:panic|fatal error): /.test(message));
      if (panic !== undefined) return [panic];
      if (bareTail.length > 0) return bareTail.slice(-count);
      return withWarnings ? regular.slice(-count) : [];
    },
  };
}

function chooseLevel(line: FrpLogLine, isBelieved: boolean): "debug" | "info" | "warn" | "error" {
  // frps logs every call of its dashboard (ours come every two seconds), and every request that it could not route, with
  // the visitor's path: the one is noise, the other the tenant's business.
  const isNoise = /^(?:http\/middleware|httputil\/reverseproxy)\.go:/.test(line.source);
  if (isNoise || line.level === "trace" || line.level === "debug") return "debug";
  return isBelieved ? line.level : "info";
}
