/**
 * What ends, ends because we killed it; frps outlives its supervisor (DESIGN.md §1; §2, 7 and 8); and a status says what is
 * so: who has been up for a second is up, with its own pid, and who is dead is not.
 */
import { type Part, parts } from "../support/keyhole-parts.ts";
import type { HistoryEvent, StatusPoll } from "./history.ts";

type PartState = { pid: number; upSince: number | undefined; killedAt: number | undefined };

const settledMs = 1000;
/** A frps that was started just before its supervisor was killed may be replaced: nobody knew yet whether it serves. */
const startMs = 5000;

/** Makes the rule. */
export function createPartRule(): { tell(event: HistoryEvent): string | undefined } {
  const states = new Map<Part, PartState>(parts.map((part) => [part, { pid: 0, upSince: undefined, killedAt: undefined }]));
  let frps: { readonly pid: number; readonly since: number; mayGo: boolean } | undefined;

  function judgeStatus(poll: StatusPoll): string | undefined {
    for (const [part, { pid, upSince, killedAt }] of states) {
      const told = poll.states[part];
      if (upSince !== undefined && upSince < poll.startedAt - settledMs && (told.state !== "up" || told.pid !== pid))
        return `keyhole status says that ${part} is ${told.state} (pid ${told.pid}), but it has been up as pid ${pid}`;
      if (killedAt !== undefined && killedAt < poll.startedAt && told.state === "up")
        return `keyhole status says that ${part} is up (pid ${told.pid}), but it had been killed ${Math.round(poll.startedAt - killedAt)} ms before`;
    }
    return undefined;
  }

  return {
    tell(event) {
      switch (event.kind) {
        case "part-starting":
          states.set(event.part, { pid: 0, upSince: undefined, killedAt: undefined });
          return undefined;
        case "part-up":
          states.set(event.part, { pid: event.pid, upSince: event.at, killedAt: undefined });
          return undefined;
        case "part-killed":
          states.set(event.part, { pid: 0, upSince: undefined, killedAt: event.at });
          if (event.part === "supervisor" && frps !== undefined && event.at < frps.since + startMs) frps.mayGo = true;
          return undefined;
        case "part-died":
          states.set(event.part, { pid: 0, upSince: undefined, killedAt: event.at });
          return `${event.part} ended, and nobody had killed it: ${event.detail}`;
        case "client-died":
          return `${event.client} ended by itself: ${event.detail}`;
        case "status-polled":
          return judgeStatus(event);
        case "frps-killed":
          if (frps?.pid === event.pid) frps.mayGo = true;
          return undefined;
        case "frps-up": {
          const former = frps;
          frps = { pid: event.pid, since: event.at, mayGo: false };
          return former === undefined || former.mayGo || former.pid === event.pid
            ? undefined
            : `frps ${former.pid} was replaced by ${event.pid}, and nobody had killed it`;
        }
        case "frps-counted":
          return event.count === 1 ? undefined : `there are ${event.count} frps instead of one`;
        case "not-back":
        case "broken-promise":
          return event.detail;
        default:
          return undefined;
      }
    },
  };
}
