/**
 * Every metric of ours: its name, what it says, and the values that its labels may have. The lists are what keeps the
 * number of series bounded: a value that is on none of them is counted as `other`, whoever sent it. No list holds an
 * address, a label of a wallet or a client.
 */
import { type HistogramFigures, refusalCodes } from "@keyhole/core";
import { evictionStages } from "@keyhole/plugin";
import { canaryStages } from "@keyhole/token";
import type { MetricSources } from "./metric-sources.ts";

/** The values of a metric's labels in the order of the definition, and what was counted. */
type Sample = { readonly values: readonly string[]; readonly value: number | HistogramFigures };

/** One metric. */
export type MetricDefinition = {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly help: string;
  /** By name: the values it may have; `told` where they are too many for a table. */
  readonly labels: Readonly<Record<string, { readonly values: readonly string[]; readonly told?: string }>>;
  /** Undefined when this process has nothing to say about it. */
  readonly read: (sources: MetricSources) => readonly Sample[] | undefined;
};

const only = (value: number | HistogramFigures | undefined): readonly Sample[] | undefined =>
  value === undefined ? undefined : [{ values: [], value }];
const byWords = (counts: ReadonlyMap<string, number> | undefined): readonly Sample[] | undefined =>
  counts === undefined ? undefined : Array.from(counts, ([words, value]) => ({ values: words.split(" "), value }));
const byName = (counts: Readonly<Record<string, number | HistogramFigures>> | undefined): readonly Sample[] | undefined =>
  counts === undefined ? undefined : Object.entries(counts).map(([name, value]) => ({ values: [name], value }));
const countOf = ({ counts }: HistogramFigures): number => counts.reduce((sum, count) => sum + count, 0);
const mapValues = <From, To>(record: Readonly<Record<string, From>>, use: (value: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, use(value)]));

const codes = { values: [...refusalCodes, "OK"], told: "a code of the catalogue" };
const none = {};
const kinds = { values: ["hmac", "jwt", "claim", "stellar-jwt", "none"] };
const files = { values: ["tokens", "sessions"] };
const directions = { values: ["in", "out"] };
const stages = { values: evictionStages };

/** All of them, in the order of the documents. */
export const metricDefinitions: readonly MetricDefinition[] = [
  {
    name: "keyhole_sessions",
    type: "gauge",
    help: "Admitted logins that live.",
    labels: none,
    read: ({ plugin }) => only(plugin?.().sessions),
  },
  {
    name: "keyhole_tunnels",
    type: "gauge",
    help: "Sessions with a registered proxy.",
    labels: none,
    read: ({ plugin }) => only(plugin?.().connected),
  },
  {
    name: "keyhole_session_starts_total",
    type: "counter",
    help: "Clients that asked for a session: by a Login (new, or resumed with its ticket), by the ticket alone, or adopted after a start of the plugin.",
    labels: { kind: kinds, mode: { values: ["new", "resumed", "ticket", "adopted"] }, result: { values: ["admitted", "refused"] } },
    read: ({ plugin }) => byWords(plugin?.().figures.starts),
  },
  {
    name: "keyhole_session_ends_total",
    type: "counter",
    help: "Sessions that ended, by how.",
    labels: { how: { values: ["closed", "displaced", "expired", "lost", "evicted"] } },
    read: ({ plugin }) => byWords(plugin?.().figures.ends),
  },
  {
    name: "keyhole_plugin_requests_total",
    type: "counter",
    help: "Calls of the hook, by operation and answer; none: a call that was not frps's, by its refusal.",
    labels: {
      op: { values: ["Login", "NewProxy", "CloseProxy", "none"] },
      result: { values: ["keep", "replace", "refuse", "malformed", ...refusalCodes], told: "keep, replace, refuse, malformed; a code" },
    },
    read: ({ plugin }) => byWords(plugin?.().figures.calls),
  },
  {
    name: "keyhole_plugin_duration_seconds",
    type: "histogram",
    help: "From the head of a hook call to its answer, everything that it waited for included.",
    labels: { op: { values: ["Login", "NewProxy", "CloseProxy"] } },
    read: ({ plugin }) => byName(plugin?.().figures.callSeconds),
  },
  {
    name: "keyhole_plugin_refusals_total",
    type: "counter",
    help: "Refusals of the hook by code.",
    labels: { code: codes },
    read: ({ plugin }) => byWords(plugin?.().refusals),
  },
  {
    name: "keyhole_evictions_total",
    type: "counter",
    help: "Clients that were put out, by the stage that was reached.",
    labels: { stage: stages },
    read: ({ plugin }) => byName(plugin && mapValues(plugin().figures.evictions, countOf)),
  },
  {
    name: "keyhole_evict_seconds",
    type: "histogram",
    help: "From the eviction of a client to the stage.",
    labels: { stage: stages },
    read: ({ plugin }) => byName(plugin?.().figures.evictions),
  },
  {
    name: "keyhole_signature_verifications_total",
    type: "counter",
    help: "Signatures and MACs that were looked at: of proofs in the token service, of credentials in the plugin.",
    labels: {
      scheme: { values: ["hmac", "tunnel-jwt", "eip191", "sep53", "stellar-jwt"] },
      result: { values: ["valid", "invalid"] },
    },
    read: ({ plugin, token }) =>
      plugin || token ? [...(byWords(plugin?.().figures.verifications) ?? []), ...(byWords(token?.().verifications) ?? [])] : undefined,
  },
  {
    name: "keyhole_token_answers_total",
    type: "counter",
    help: "Answers of the token service: OK, or the code of the refusal.",
    labels: { code: { ...codes, told: "OK; a code of the catalogue" } },
    read: ({ token }) => byName(token?.().answers),
  },
  {
    name: "keyhole_store_commit_seconds",
    type: "histogram",
    help: "Transactions of a store, each with the work of many callers, from their begin to the end of their commit.",
    labels: { file: files },
    read: ({ commits }) => byName(commits && mapValues(commits(), ({ seconds }) => seconds)),
  },
  {
    name: "keyhole_store_commit_failures_total",
    type: "counter",
    help: "Transactions that could not be written.",
    labels: { file: files },
    read: ({ commits }) => byName(commits && mapValues(commits(), ({ failures }) => failures)),
  },
  {
    name: "keyhole_canary_up",
    type: "gauge",
    help: "1 while a tunnel of our own is answered through the edge.",
    labels: none,
    read: ({ canary }) => only(canary && (canary()?.report?.ok === true ? 1 : 0)),
  },
  {
    name: "keyhole_canary_answer_seconds",
    type: "gauge",
    help: "How long the canary's last answer took.",
    labels: none,
    read: ({ canary }) => only(canary && (canary()?.report?.ms ?? 0) / 1000),
  },
  {
    name: "keyhole_canary_rounds_total",
    type: "counter",
    help: "The canary's rounds: ok, or the stage that failed.",
    labels: { result: { values: ["ok", ...canaryStages] } },
    read: ({ canary }) => byName(canary && (canary()?.rounds ?? {})),
  },
  {
    name: "keyhole_frps_up",
    type: "gauge",
    help: "1 while frps is ready.",
    labels: none,
    read: ({ frps }) => only(frps && (frps().state === "ready" ? 1 : 0)),
  },
  {
    name: "keyhole_frps_restarts_total",
    type: "counter",
    help: "Starts of frps after the first.",
    labels: none,
    read: ({ frps }) => only(frps?.().restarts),
  },
  {
    name: "keyhole_edge_requests_total",
    type: "counter",
    help: "Visitors' requests: for a label, for one of our own hosts, or for none that we have, and how they ended.",
    labels: {
      class: { values: ["tunnel", "service", "none"] },
      outcome: { values: ["proxied", "offline", "unreachable", "timeout", "refused"] },
    },
    read: ({ edge }) =>
      edge &&
      Object.entries(edge().requestsTotal).flatMap(([name, outcomes]) =>
        Object.entries(outcomes).map(([outcome, value]) => ({ values: [name, outcome], value })),
      ),
  },
  {
    name: "keyhole_edge_overhead_seconds",
    type: "histogram",
    help: "The edge's own time: from a request's parsed head until frps or the token service is asked first. Waiting behind a pipelined request, and what a hand-over held before that, is in it; the way back is not.",
    labels: none,
    read: ({ edge }) => only(edge?.().overheadSeconds),
  },
  {
    name: "keyhole_edge_first_byte_seconds",
    type: "histogram",
    help: "From a request's parsed head to the head of the answer: the edge, frps, the client's line and its app together.",
    labels: none,
    read: ({ edge }) => only(edge?.().firstByteSeconds),
  },
  {
    name: "keyhole_edge_bytes_total",
    type: "counter",
    help: "Body bytes from visitors (in) and to them (out), WebSockets included; no headers, and no answers of the edge itself.",
    labels: { direction: directions },
    read: ({ edge }) => byName(edge && { in: edge().bytesInTotal, out: edge().bytesOutTotal }),
  },
  {
    name: "keyhole_edge_control_bytes_total",
    type: "counter",
    help: "Bytes from frpc (in) and to it (out), inside TLS.",
    labels: { direction: directions },
    read: ({ edge }) => byName(edge && { in: edge().controlBytesInTotal, out: edge().controlBytesOutTotal }),
  },
  {
    name: "keyhole_edge_visitor_connections",
    type: "gauge",
    help: "Open connections of visitors.",
    labels: none,
    read: ({ edge }) => only(edge?.().openVisitorConnections),
  },
  {
    name: "keyhole_edge_control_connections",
    type: "gauge",
    help: "Open connections of frpc.",
    labels: none,
    read: ({ edge }) => only(edge?.().controlConnections),
  },
  {
    name: "keyhole_edge_live_labels",
    type: "gauge",
    help: "Labels that the edge serves.",
    labels: none,
    read: ({ edge }) => only(edge?.().liveLabels),
  },
  {
    name: "keyhole_edge_held_requests",
    type: "gauge",
    help: "Requests that wait for a client, or for the token service, to come back.",
    labels: none,
    read: ({ edge }) => only(edge?.().held),
  },
  {
    name: "keyhole_edge_control_refusals_total",
    type: "counter",
    help: "What the control port refused for an address's limits.",
    labels: { what: { values: ["connection", "login"] } },
    read: ({ edge }) => byName(edge && { connection: edge().refusedConnectionsTotal, login: edge().limitedLoginsTotal }),
  },
  {
    name: "keyhole_clock_behind_seconds",
    type: "gauge",
    help: "How far the clock is behind what it has been: who bought a token meanwhile waits as long. 0 while all is well.",
    labels: none,
    read: ({ clockBehindMs }) => only(clockBehindMs && clockBehindMs() / 1000),
  },
  {
    name: "keyhole_config_restart_required",
    type: "gauge",
    help: "1 when the configuration's file says something else than this process runs with, or nothing that a start would take.",
    labels: none,
    read: ({ isConfigOutdated }) => only(isConfigOutdated && (isConfigOutdated() ? 1 : 0)),
  },
];

/** One row a metric, for the documents. */
export function metricRows(): readonly (Pick<MetricDefinition, "name" | "type" | "help"> & { readonly labels: string })[] {
  const describe = ([label, { values, told }]: [string, { readonly values: readonly string[]; readonly told?: string }]): string =>
    `\`${label}\` (${told ?? values.join(", ")})`;
  return [
    ...metricDefinitions.map(({ name, type, help, labels }) => ({
      name,
      type,
      help,
      labels: Object.entries(labels).map(describe).join(", "),
    })),
    { name: "keyhole_build_info", type: "gauge", help: "Always 1.", labels: "`version`, `node`" },
  ];
}
