/**
 * What an edge in another process is to its door: there, gone, or silent. Gone (nobody listens on its socket) means that
 * nobody serves visitors, and the next edge begins with the files; silent (it hangs) means that it may still serve what
 * we wanted it to refuse. Both are said once, however many calls meet them.
 */
import { Fault } from "@keyhole/core";
import type { Log } from "./log.ts";

/** What came of a call: its value, or how the edge was away. */
type Reached<T> = { readonly value: T } | { readonly isGone: boolean; readonly fault: Fault };

/** Makes a call to the edge. Throws whatever is no absence. */
export type ReachEdge = <T>(call: () => Promise<T>) => Promise<Reached<T>>;

const goneCodes = new Set(["ECONNREFUSED", "ENOENT"]);

export function createReachEdge(log: Log | undefined): ReachEdge {
  let isAway = false;
  return async (call) => {
    try {
      const value = await call();
      if (isAway) log?.info({}, "the edge answers again");
      isAway = false;
      return { value };
    } catch (fault) {
      if (!(fault instanceof Fault) || fault.code !== "EDGE_UNREACHABLE") throw fault;
      if (!isAway)
        log?.warn({ reason: fault.message }, "the edge cannot be told of changes; they are in its files, and it is told when it answers");
      isAway = true;
      return { isGone: hasCode(fault.cause) && goneCodes.has(fault.cause.code), fault };
    }
  };
}

function hasCode(cause: unknown): cause is { readonly code: string } {
  return typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string";
}
