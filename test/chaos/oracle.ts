/**
 * The oracle: it is told everything that a run did and saw, and says what must not have been. Each violation comes with
 * what happened around it, before and a little after, so that it can be understood without running anything again.
 */
import { createAnswerRule } from "./answer-rule.ts";
import { createCalmRule } from "./calm-rule.ts";
import { createExpiryRule } from "./expiry-rule.ts";
import type { Grant, HistoryEvent } from "./history.ts";
import { createOrderRule } from "./order-rule.ts";
import { createPartRule } from "./part-rule.ts";
import { createRankRule } from "./rank-rule.ts";
import { createTokenRule } from "./token-rule.ts";

/** Something that must not have been. */
export type Violation = {
  readonly rule: "wrong answer" | "two serve" | "not served" | "expired" | "token" | "parts" | "undone";
  readonly at: number;
  readonly label: string | undefined;
  readonly what: string;
  /** The events around it, oldest first. */
  readonly evidence: HistoryEvent[];
};

export type Oracle = {
  tell(event: HistoryEvent): void;
  /** How much there was to judge: answers while two clients of a wallet ran, requests of undisturbed labels, requests after a label's time, and of labels that were revoked or blocked. */
  readonly judged: { readonly contested: number; readonly calm: number; readonly late: number; readonly ordered: number };
  readonly violations: readonly Violation[];
  /** Whether a running client of the label surely has a higher rank than this one. */
  isOutranked(label: string, client: string): boolean;
  /** When the label's time is surely up, in ms. */
  deadlineOf(label: string): number | undefined;
  /** Every token of which an answer came whole, by label. */
  acknowledged(): ReadonlyMap<string, readonly Grant[]>;
};

const beforeMs = 15_000;
const afterMs = 3000;
/** Requests are many: so many of the label are kept, and all that did not go well. */
const requestsKept = 12;
const memory = 4000;
/** What went wrong once goes wrong a hundred times: evidence is kept for the first ones. */
const withEvidence = 40;

/** Makes one. `ttlSeconds` is the life of a token. */
export function createOracle({ ttlSeconds }: { readonly ttlSeconds: number }): Oracle {
  const expiry = createExpiryRule(ttlSeconds);
  const rank = createRankRule({ deadlineOf: expiry.deadlineOf });
  const token = createTokenRule(ttlSeconds);
  const order = createOrderRule();
  const calm = createCalmRule({ isFirst: rank.isFirst, boughtUntil: expiry.boughtUntil });
  const rules = [
    ["wrong answer", createAnswerRule()],
    ["two serve", rank],
    ["expired", expiry],
    ["not served", calm],
    ["token", token],
    ["parts", createPartRule()],
    ["undone", order],
  ] as const;
  const violations: Violation[] = [];
  const recent: HistoryEvent[] = [];
  const concerns = (event: HistoryEvent, label: string | undefined): boolean =>
    !("label" in event) || event.label === undefined || label === undefined ? event.kind !== "request" : event.label === label;

  function collect(at: number, label: string | undefined): HistoryEvent[] {
    const near = recent.filter((event) => event.at > at - beforeMs && concerns(event, label) && event.kind !== "status-polled");
    const requests = near.filter(({ kind }) => kind === "request");
    const kept = new Set(requests.slice(-requestsKept));
    return near.filter((event) => event.kind !== "request" || kept.has(event));
  }

  return {
    violations,
    get judged() {
      return { contested: rank.judged(), calm: calm.judged(), late: expiry.judged(), ordered: order.judged() };
    },
    isOutranked: rank.isOutranked,
    deadlineOf: expiry.deadlineOf,
    acknowledged: token.acknowledged,
    tell(event) {
      for (const { at, label, evidence } of violations.slice(-withEvidence)) {
        if (evidence.length === 0 || event.at > at + afterMs || !concerns(event, label) || event.kind === "status-polled") continue;
        if (event.kind !== "request" || evidence.filter(({ kind }) => kind === "request").length < 2 * requestsKept) evidence.push(event);
      }
      recent.push(event);
      if (recent.length > 2 * memory) recent.splice(0, memory);
      for (const [rule, { tell }] of rules) {
        const what = tell(event);
        if (what === undefined) continue;
        const label = "label" in event ? event.label : undefined;
        const evidence = violations.length < withEvidence ? collect(event.at, label) : [];
        violations.push({ rule, at: event.at, label, what, evidence });
      }
    },
  };
}
