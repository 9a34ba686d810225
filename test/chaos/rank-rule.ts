/**
 * A label is served by at most one client, the one of the highest rank that lives (DESIGN.md §2, 2; §5). Rank is the
 * issued-at of the credential, then the order of first logins. The rule says only what is sure: who was *established*
 * (its proxy registered, or an answer of its app seen) and has not been disturbed since must not be answered for by
 * somebody of lower rank; and without any disturbance nobody serves again after another has served.
 */
import type { HistoryEvent, RequestEvent, TokenAnswer } from "./history.ts";

type Client = {
  readonly id: string;
  readonly startedAt: number;
  /** Of the token in its file: its rank is no lower. */
  readonly issuedAt: number;
  /** Its rank is no higher: what its label bought while it may have lived counts for it. */
  highest: number;
  /** The same for a request whose answer never came. */
  doubtful: { readonly issuedAt: number; readonly at: number } | undefined;
  firstEstablishedAt: number | undefined;
  /** Since when it has been there, undisturbed. */
  establishedSince: number | undefined;
  disturbedAt: number;
  isFrozen: boolean;
  hasEnded: boolean;
};

type LabelState = {
  readonly clients: Map<string, Client>;
  disturbedAt: number;
  /** By client: when its first undisturbed answer had ended. */
  firstAnswer: Map<string, number>;
  /** By client, then by another that answered after it: when that first happened. */
  supersededAt: Map<string, Map<string, number>>;
};

/** A line of frpc is read a little after it was printed: so soon after a disturbance it may tell of the time before. */
const lineDelayMs = 150;

/** The rule, and what it knows of ranks. */
export type RankRule = {
  tell(event: HistoryEvent): string | undefined;
  /** Answers that came while another client of the label ran. */
  judged(): number;
  /** Whether a running client of the label surely has a higher rank than this one. */
  isOutranked(label: string, client: string): boolean;
  /** Whether every other running client of the label surely has a lower rank. */
  isFirst(label: string, client: string): boolean;
};

/** Makes the rule. `deadlineOf`: when the label's newest token ends; who served until then is put out, and may come back after another. */
export function createRankRule(deps: { readonly deadlineOf: (label: string) => number | undefined }): RankRule {
  let judged = 0;
  const labels = new Map<string, LabelState>();
  const stateOf = (label: string): LabelState => {
    const known = labels.get(label);
    if (known !== undefined) return known;
    const state: LabelState = { clients: new Map(), disturbedAt: 0, firstAnswer: new Map(), supersededAt: new Map() };
    labels.set(label, state);
    return state;
  };

  function disturb(state: LabelState, at: number, clients: Iterable<Client>): void {
    state.disturbedAt = at;
    state.firstAnswer = new Map();
    state.supersededAt = new Map();
    for (const client of clients) {
      client.establishedSince = undefined;
      client.disturbedAt = at;
    }
  }

  function disturbAll(at: number): void {
    for (const state of labels.values()) disturb(state, at, state.clients.values());
  }

  function judgeAnswer({ label, startedAt, at, outcome }: RequestEvent): string | undefined {
    const state = stateOf(label);
    if ((deps.deadlineOf(label) ?? Number.POSITIVE_INFINITY) <= at) disturb(state, at, state.clients.values());
    const client = outcome.kind === "answered" && outcome.app?.label === label ? state.clients.get(outcome.app.client) : undefined;
    if (client === undefined) return undefined;
    if ([...state.clients.values()].some((other) => other !== client && !other.hasEnded)) judged += 1;
    for (const other of state.clients.values()) {
      if (other !== client && other.establishedSince !== undefined && other.establishedSince < startedAt && outranks(other, client)) {
        const sinceMs = Math.round(startedAt - other.establishedSince);
        return `answered by ${client.id}, though ${other.id} of higher rank had been established for ${sinceMs} ms`;
      }
    }
    if (startedAt >= client.disturbedAt + lineDelayMs) establish(client, at);
    return startedAt > state.disturbedAt ? judgeAlternation(state, client.id, startedAt, at) : undefined;
  }

  return {
    judged: () => judged,
    tell(event) {
      switch (event.kind) {
        case "request":
          return judgeAnswer(event);
        case "part-killed":
          if (event.part === "edge") disturbAll(event.at);
          return undefined;
        case "frps-killed":
        case "frps-up":
          disturbAll(event.at);
          return undefined;
        case "order-asked":
        case "order-answered": {
          const state = stateOf(event.label);
          disturb(state, event.at, state.clients.values());
          return undefined;
        }
        case "restored":
          disturbAll(event.at);
          return undefined;
        case "token-answered":
          raise(stateOf(event.label).clients.values(), event);
          return undefined;
        case "client-started":
          stateOf(event.label).clients.set(event.client, openClient(event));
          return undefined;
        case "client-established": {
          const client = stateOf(event.label).clients.get(event.client);
          if (client !== undefined && !client.isFrozen && event.at >= client.disturbedAt + lineDelayMs) establish(client, event.at);
          return undefined;
        }
        case "client-frozen":
        case "client-thawed":
        case "client-killed":
        case "client-stopped":
        case "client-died": {
          const state = stateOf(event.label);
          const client = state.clients.get(event.client);
          if (client === undefined) return undefined;
          disturb(state, event.at, [client]);
          client.isFrozen = event.kind === "client-frozen";
          client.hasEnded ||= event.kind !== "client-frozen" && event.kind !== "client-thawed";
          return undefined;
        }
        default:
          return undefined;
      }
    },

    isOutranked: (label, id) => compare(label, id, (client, others) => others.some((other) => outranks(other, client))),
    isFirst: (label, id) => compare(label, id, (client, others) => others.every((other) => outranks(client, other))),
  };

  function compare(label: string, id: string, judge: (client: Client, others: readonly Client[]) => boolean): boolean {
    const { clients } = stateOf(label);
    const client = clients.get(id);
    return (
      client !== undefined &&
      judge(
        client,
        [...clients.values()].filter((other) => other !== client && !other.hasEnded && !other.isFrozen),
      )
    );
  }
}

const openClient = (event: { readonly client: string; readonly at: number; readonly issuedAt: number }): Client => ({
  id: event.client,
  startedAt: event.at,
  issuedAt: event.issuedAt,
  highest: event.issuedAt,
  doubtful: undefined,
  firstEstablishedAt: undefined,
  establishedSince: undefined,
  disturbedAt: event.at - lineDelayMs,
  isFrozen: false,
  hasEnded: false,
});

function establish(client: Client, at: number): void {
  client.firstEstablishedAt ??= at;
  client.establishedSince ??= at;
}

/** Whether `one` surely has a higher rank than `other`. */
function outranks(one: Client, other: Client): boolean {
  const highest = Math.max(other.highest, other.doubtful?.issuedAt ?? 0);
  if (one.issuedAt > highest) return true;
  // A login without a ticket is given a later generation than any before it.
  return one.issuedAt >= highest && other.firstEstablishedAt !== undefined && other.firstEstablishedAt < one.startedAt;
}

/** A token that was bought while a client lived counts for it; also one of which only the answer was lost. */
function raise(clients: Iterable<Client>, { askedAt, at, outcome, grant }: TokenAnswer): void {
  if (grant === undefined && outcome.kind === "answered" && outcome.status < 500) return;
  const all = [...clients].filter(({ hasEnded }) => !hasEnded);
  for (const client of all) {
    const { doubtful } = client;
    if (grant !== undefined && doubtful !== undefined && askedAt >= doubtful.at) {
      // Issued-at rises with every token of a label, so the doubtful one was issued before this one.
      client.highest = Math.max(client.highest, Math.min(doubtful.issuedAt, grant.issuedAt - 1));
      client.doubtful = undefined;
    }
    const isDisplaced = all.some(
      (other) => other !== client && other.establishedSince !== undefined && other.establishedSince < askedAt && outranks(other, client),
    );
    if (isDisplaced) continue;
    if (grant !== undefined) client.highest = Math.max(client.highest, grant.issuedAt);
    else client.doubtful = { issuedAt: Math.floor(at / 1000) + 2, at };
  }
}

/** One served, then another, then the first again, and nothing had happened: two clients take turns. */
function judgeAlternation(state: LabelState, client: string, startedAt: number, at: number): string | undefined {
  for (const [other, supersededAt] of state.supersededAt.get(client) ?? []) {
    if (supersededAt < startedAt)
      return `answered by ${client}, then by ${other}, then by ${client} again, and nothing had happened meanwhile`;
  }
  for (const [other, firstAt] of state.firstAnswer) {
    if (other === client || firstAt >= startedAt) continue;
    const superseded = state.supersededAt.get(other) ?? new Map<string, number>();
    if (!superseded.has(client)) superseded.set(client, at);
    state.supersededAt.set(other, superseded);
  }
  if (!state.firstAnswer.has(client)) state.firstAnswer.set(client, at);
  return undefined;
}
