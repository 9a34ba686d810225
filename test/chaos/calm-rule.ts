/**
 * Live tunnels do not notice (DESIGN.md §2, 7): killing plugin, token service or supervisor fails no request. Once the
 * client of the highest rank has answered, every request of the label is answered by an app, until something happens that
 * may disturb it: the edge or frps is killed, its own clients come, go or freeze, or its time runs out.
 */
import type { HistoryEvent, RequestEvent } from "./history.ts";

type LabelState = {
  calmSince: number | undefined;
  disturbedAt: number;
  /** Clients that have not registered a proxy yet. */
  readonly arriving: Set<string>;
  /** Something was ordered that hits when the plugin is back. */
  hasPending: boolean;
};

/** A client that dies while it logs in may have displaced the other, who notices a moment later. */
const loginMs = 2000;

/** Makes the rule. `isFirst`: every other running client of the label surely has a lower rank. */
export function createCalmRule(deps: {
  readonly isFirst: (label: string, client: string) => boolean;
  /** Until when the label has surely bought time, in ms. */
  readonly boughtUntil: (label: string) => number;
}): {
  tell(event: HistoryEvent): string | undefined;
  /** Requests of undisturbed labels. */
  judged(): number;
} {
  let judged = 0;
  const labels = new Map<string, LabelState>();
  const stateOf = (label: string): LabelState => {
    const state = labels.get(label) ?? { calmSince: undefined, disturbedAt: 0, arriving: new Set(), hasPending: false };
    labels.set(label, state);
    return state;
  };
  const disturb = (state: LabelState, at: number): void => {
    state.calmSince = undefined;
    state.disturbedAt = Math.max(state.disturbedAt, at);
  };

  function judge({ label, startedAt, at, outcome }: RequestEvent): string | undefined {
    const state = stateOf(label);
    if (deps.boughtUntil(label) <= at) disturb(state, at);
    const isJudged = state.calmSince !== undefined && startedAt > state.calmSince;
    if (isJudged) judged += 1;
    const app = outcome.kind === "answered" && outcome.status === 200 ? outcome.app : undefined;
    if (app !== undefined) {
      if (!state.hasPending && startedAt > state.disturbedAt && deps.isFirst(label, app.client)) state.calmSince ??= at;
      return undefined;
    }
    if (!isJudged || state.calmSince === undefined) return undefined;
    const what = outcome.kind === "failed" ? outcome.error : `${outcome.status} ${outcome.code ?? ""}`;
    return `not served (${what.trim()}) after ${Math.round(at - startedAt)} ms, though nothing had happened to it for ${Math.round(startedAt - state.calmSince)} ms`;
  }

  return {
    judged: () => judged,
    tell(event) {
      switch (event.kind) {
        case "request":
          return judge(event);
        case "part-killed":
          if (event.part === "edge") for (const state of labels.values()) disturb(state, event.at);
          return undefined;
        case "frps-killed":
        case "frps-up":
          for (const state of labels.values()) disturb(state, event.at);
          return undefined;
        case "client-started":
          stateOf(event.label).arriving.add(event.client);
          disturb(stateOf(event.label), event.at);
          return undefined;
        case "client-established":
          stateOf(event.label).arriving.delete(event.client);
          return undefined;
        case "client-killed":
        case "client-stopped":
        case "client-died":
          disturb(stateOf(event.label), event.at + (stateOf(event.label).arriving.delete(event.client) ? loginMs : 0));
          return undefined;
        case "order-asked":
          stateOf(event.label).hasPending = true;
          disturb(stateOf(event.label), event.at);
          return undefined;
        case "order-answered":
          // What is only recorded hits when the plugin is back.
          if (event.isEnforced) stateOf(event.label).hasPending = false;
          disturb(stateOf(event.label), event.at + loginMs);
          return undefined;
        case "part-up":
          if (event.part !== "plugin") return undefined;
          for (const state of labels.values()) {
            if (state.hasPending) disturb(state, event.at + loginMs);
            state.hasPending = false;
          }
          return undefined;
        case "restored":
          for (const state of labels.values()) state.hasPending = true;
          for (const state of labels.values()) disturb(state, event.at);
          return undefined;
        case "client-frozen":
        case "client-thawed":
          disturb(stateOf(event.label), event.at);
          return undefined;
        default:
          return undefined;
      }
    },
  };
}
