/**
 * What a visitor of a label gets: DESIGN.md §6 as one loop. States first (blocked, not live), then an attempt, then what
 * its outcome means for a label that is settled or changing hands. A request is sent again only while it is repeatable, is
 * held only during a transition, and leaves the loop with exactly one answer.
 */
import type { Label, RefusalCode } from "@keyhole/core";
import { type Facts, sendAnswer } from "./answers.ts";
import { classOf, isFailure } from "./edge-stats.ts";
import type { Exchange } from "./exchange.ts";
import type { HoldRoom } from "./hold-room.ts";
import type { LabelEvidence, Witness } from "./label-evidence.ts";
import type { LabelStates } from "./label-states.ts";
import type { LabelTraffic, Passage } from "./label-traffic.ts";
import type { Log } from "./log.ts";
import type { Outcome, Upstream } from "./upstream.ts";

/** Pauses between attempts while a label changes hands: a takeover takes 4–20 ms, frps registers within a few. */
const holdPausesMs = [5, 10, 20, 40, 50] as const;
/** frps says 404 up to some milliseconds before we are told that a client left: so long we wait to be told. */
const settleMs = 100;
/** A request is held so long altogether, however often its label changes hands: two transitions. */
const maxHeldMs = 3000;

export type TunnelDeps = {
  readonly states: LabelStates;
  readonly evidence: LabelEvidence;
  readonly traffic: LabelTraffic;
  readonly room: HoldRoom;
  readonly frps: Upstream;
  readonly log: Log;
};

/** Sends the request once and tells how it went. */
export type AttemptOnce = (passage: Passage) => Promise<Outcome>;

export async function serveTunnel(exchange: Exchange, label: Label, attempt: AttemptOnce, deps: TunnelDeps): Promise<void> {
  const { states, evidence, room, traffic } = deps;
  let hasSeat = false;
  let holdTimer: NodeJS.Timeout | undefined;
  let isHoldOver = false;
  let pauses = 0;
  let asksLeft = 1;
  /** The last attempt may have reached an app, and the request must not reach one twice. */
  let isSpent = false;
  /** Whom the last attempt speaks of. */
  let witness: Witness | undefined;

  const answer = (code: RefusalCode, facts?: Facts): void => {
    if (!exchange.isGone) deps.frps.counters.requestsTotal.tunnel[classOf(code)] += 1;
    if (isFailure(code)) deps.log.debug({ event: "edge.failed", code, label, requestId: exchange.requestId }, "an app gave no answer");
    sendAnswer(exchange, code, facts);
  };
  /** There is no app to blame when its client is gone. */
  const unreachable = (): void => {
    const isLost = states.isLost(label);
    if (witness !== undefined) evidence.failed(witness, isLost ? "CLIENT_LOST" : "APP_UNREACHABLE");
    if (isLost) answer("TUNNEL_OFFLINE", offlineFacts(states.lastSeen(label)));
    else answer("APP_UNREACHABLE");
  };
  const hold = async (waitMs: number | undefined): Promise<boolean> => {
    // From the first hold on, all of them together: a label may change hands again and again.
    holdTimer ??= setTimeout(() => {
      isHoldOver = true;
      states.wake(label);
    }, maxHeldMs);
    if (isHoldOver) return false;
    hasSeat ||= room.take(label, exchange.source);
    if (!hasSeat) return false;
    if (await states.nextChange(label, waitMs, exchange)) pauses = 0;
    return true;
  };

  try {
    while (!exchange.isGone) {
      if (states.isBlocked(label)) return answer("ADDRESS_BLOCKED");
      const inTransition = states.inTransition(label);
      if (!states.isLive(label)) {
        if (!inTransition) return answer("TUNNEL_OFFLINE", offlineFacts(states.lastSeen(label)));
        if (isSpent || !(await hold(undefined))) return answer("HANDOVER_IN_PROGRESS");
        continue;
      }
      if (isSpent) return inTransition ? answer("HANDOVER_IN_PROGRESS") : unreachable();

      // Its client is on its way back to a fresh edge: frps would say 404, and that would spend this request. Where there
      // is no seat it takes its chance.
      if (states.isAwaited(label) && !exchange.changesNothing && (await hold(undefined))) continue;

      witness = evidence.witness(label);
      const passage = traffic.enter(label);
      const outcome = await attempt(passage);
      if (outcome.kind === "answered") {
        deps.frps.counters.requestsTotal.tunnel.proxied += 1;
        if (exchange.isGone) return;
        states.answered(label);
        evidence.answered(witness);
        return;
      }
      passage.leave();
      const final = finalCode(outcome);
      if (final === "APP_TIMEOUT") evidence.failed(witness, final);
      if (final !== undefined) return answer(final);

      // No route, no connection, or a connection that died before an answer: is the label changing hands?
      isSpent = outcome.kind !== "refused" && !exchange.isRepeatable;
      if (states.isBlocked(label)) continue;
      if (states.inTransition(label)) {
        if (isSpent) return answer("HANDOVER_IN_PROGRESS");
        const pause = holdPausesMs[Math.min(pauses, holdPausesMs.length - 1)];
        pauses += 1;
        if (!(await hold(pause))) return answer("HANDOVER_IN_PROGRESS");
        continue;
      }
      if (!states.isLive(label)) continue;
      if (outcome.kind === "refused") {
        evidence.failed(witness, "SERVER_UNREACHABLE");
        return answer("TUNNEL_OFFLINE", offlineFacts(states.lastSeen(label)));
      }
      if (holdTimer !== undefined || asksLeft === 0) return unreachable();
      asksLeft -= 1;
      if (outcome.kind === "unmarked") await states.nextChange(label, settleMs, exchange);
    }
  } finally {
    clearTimeout(holdTimer);
    if (hasSeat) room.leave(label, exchange.source);
  }
}

/** Outcomes that no second attempt and no hold can change. */
function finalCode(outcome: Outcome): RefusalCode | undefined {
  switch (outcome.kind) {
    case "timeout":
      return "APP_TIMEOUT";
    case "unfit":
      return "REQUEST_MALFORMED";
    case "stalled":
      return "REQUEST_TIMEOUT";
    case "unmarked":
      return frpsCodes[outcome.status];
    default:
      return undefined;
  }
}

/** frps's own answers that mean something; everything else from frps itself means that it has no route. */
const frpsCodes: Readonly<Record<number, RefusalCode>> = {
  400: "REQUEST_MALFORMED",
  417: "EXPECTATION_FAILED",
  431: "HEADERS_TOO_LARGE",
  504: "APP_TIMEOUT",
};

const hourMs = 3_600_000;

/** Last seen is public to the hour (DESIGN.md §4). */
function offlineFacts(lastSeen: Date | undefined): Facts | undefined {
  if (lastSeen === undefined) return undefined;
  return { lastSeen: new Date(Math.floor(lastSeen.getTime() / hourMs) * hourMs).toISOString() };
}
