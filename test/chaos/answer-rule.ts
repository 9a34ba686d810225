/**
 * What a visitor may get (DESIGN.md §6; §2, 1 and 11): the answer of an app of this very label to this very request, or a
 * problem document of ours. Never another's answer, never frp's page, never silence. A connection may break only with the
 * edge that had accepted it, and an answer that had begun may break off only with whoever was sending it.
 */
import type { HistoryEvent, RequestEvent } from "./history.ts";

/** What the edge may say about a label while everything around it dies. */
const codes: Readonly<Record<string, number>> = {
  TUNNEL_OFFLINE: 503,
  HANDOVER_IN_PROGRESS: 503,
  APP_UNREACHABLE: 502,
  APP_TIMEOUT: 504,
  ADDRESS_BLOCKED: 403,
};
/** A kept connection that its end left behind is noticed by its next use. */
const lateMs = 500;
/** From the start of a client until it has displaced the former one. */
const takeoverMs = 20_000;

/** Makes the rule. */
export function createAnswerRule(): { tell(event: HistoryEvent): string | undefined } {
  let edgeKilledAt = 0;
  let frpsKilledAt = 0;
  const clientsChangedAt = new Map<string, number>();
  /** Wallets that somebody has asked to block: before that none is told so. */
  const blockedOnce = new Set<string>();

  function judgeAnswer({ label, nonce, outcome }: RequestEvent): string | undefined {
    if (outcome.kind !== "answered") return undefined;
    const { status, app, code, contentType, excerpt } = outcome;
    if (status === 200) {
      if (app === undefined) return `a 200 that is of no app: ${excerpt}`;
      if (app.label !== label) return `answered by the app of another label: ${app.client}`;
      return app.nonce === nonce ? undefined : `answered with the answer to another request: ${app.nonce}`;
    }
    if (contentType !== "application/problem+json" || code === undefined)
      return `${status} is no answer of ours: ${contentType} ${excerpt}`;
    if (code === "ADDRESS_BLOCKED" && !blockedOnce.has(label)) return "told to be blocked, and nobody had blocked it";
    return codes[code] === status ? undefined : `${status} ${code} is not what is told about a label`;
  }

  function judgeFailure({ label, startedAt, at, outcome }: RequestEvent): string | undefined {
    if (outcome.kind !== "failed") return undefined;
    const since = startedAt - lateMs;
    if (edgeKilledAt >= since && edgeKilledAt <= at) return undefined;
    const changedAt = clientsChangedAt.get(label) ?? 0;
    if (outcome.hadHead && (frpsKilledAt >= since || changedAt >= since)) return undefined;
    return `no whole answer after ${Math.round(at - startedAt)} ms, and the edge had not been killed: ${outcome.error}`;
  }

  return {
    tell(event) {
      switch (event.kind) {
        case "request":
          return event.outcome.kind === "answered" ? judgeAnswer(event) : judgeFailure(event);
        case "part-killed":
          if (event.part === "edge") edgeKilledAt = event.at;
          return undefined;
        case "frps-killed":
        case "frps-up":
          frpsKilledAt = event.at;
          return undefined;
        case "client-started":
          clientsChangedAt.set(event.label, event.at + takeoverMs);
          return undefined;
        case "client-killed":
        case "client-stopped":
        case "client-frozen":
        case "client-thawed":
          clientsChangedAt.set(event.label, Math.max(event.at, clientsChangedAt.get(event.label) ?? 0));
          return undefined;
        case "order-asked":
          if (event.what === "block") blockedOnce.add(event.label);
          // A stream that had begun ends with whoever was sending it.
          clientsChangedAt.set(event.label, event.at + takeoverMs);
          return undefined;
        case "restored":
          for (const label of clientsChangedAt.keys()) clientsChangedAt.set(label, event.at + takeoverMs);
          return undefined;
        case "reached-again":
          return `a POST reached an app twice: ${event.nonce} at ${event.client}`;
        default:
          return undefined;
      }
    },
  };
}
