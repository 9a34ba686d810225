/** Prometheus metrics and liveness on loopback. Bounded cardinality: no address, no label, no client. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Fault, refusalCodes } from "@keyhole/core";
import type { EdgeStats } from "@keyhole/edge";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { CanaryStats } from "./canary/canary-record.ts";

/** Figures that are read at each scrape: of the parts that this process is. */
export type MetricSources = {
  readonly version: string;
  readonly plugin?: () => {
    readonly sessions: number;
    readonly connected: number;
    readonly hookCalls: ReadonlyMap<string, number>;
    readonly refusals: ReadonlyMap<string, number>;
  };
  readonly token?: () => { readonly answers: Readonly<Record<string, number>> };
  readonly frps?: () => { readonly state: string; readonly restarts: number };
  readonly edge?: () => EdgeFigures;
  readonly canary?: () => CanaryStats | undefined;
};

/** What is read of the edge. */
type EdgeFigures = Pick<
  EdgeStats,
  | "openVisitorConnections"
  | "controlConnections"
  | "held"
  | "bytesInTotal"
  | "bytesOutTotal"
  | "requestsTotal"
  | "refusedConnectionsTotal"
  | "limitedLoginsTotal"
>;

/** Makes the registry. */
export function createMetrics(sources: MetricSources): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "keyhole_" });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, labelNames: string[], read: () => (readonly [readonly string[], number])[]): void => {
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [values, value] of read()) this.inc(Object.fromEntries(labelNames.map((label, at) => [label, values[at] ?? ""])), value);
      },
    });
  };
  new Gauge({ name: "keyhole_build_info", help: "Always 1.", labelNames: ["version"], registers: [registry] }).set(
    { version: sources.version },
    1,
  );
  const { plugin, token, frps, edge, canary } = sources;
  if (plugin !== undefined) {
    gauge("keyhole_sessions", "Admitted logins that live.", () => plugin().sessions);
    gauge("keyhole_tunnels", "Sessions with a registered proxy.", () => plugin().connected);
    counter("keyhole_plugin_requests_total", "Hook calls by operation and result.", ["op", "result"], () =>
      [...plugin().hookCalls].map(([key, value]) => [key.split(" "), value]),
    );
    counter("keyhole_plugin_refusals_total", "Refusals of the hook by code.", ["code"], () => countCodes([...plugin().refusals]));
  }
  if (token !== undefined) {
    counter("keyhole_token_answers_total", "Answers of the token service: OK, or the code of the refusal.", ["code"], () =>
      countCodes(Object.entries(token().answers)),
    );
  }
  if (frps !== undefined) {
    gauge("keyhole_frps_up", "1 while frps is ready.", () => (frps().state === "ready" ? 1 : 0));
    gauge("keyhole_frps_restarts", "Starts of frps after the first.", () => frps().restarts);
  }
  if (edge !== undefined) {
    gauge("keyhole_edge_visitor_connections", "Open connections of visitors.", () => edge().openVisitorConnections);
    gauge("keyhole_edge_control_connections", "Open connections of frpc.", () => edge().controlConnections);
    gauge("keyhole_edge_held_requests", "Requests that wait for a client to come back.", () => edge().held);
    gauge("keyhole_edge_bytes_in_total", "Body bytes from visitors.", () => edge().bytesInTotal);
    gauge("keyhole_edge_bytes_out_total", "Body bytes to visitors.", () => edge().bytesOutTotal);
    counter("keyhole_edge_requests_total", "Visitors' requests by outcome.", ["outcome"], () =>
      Object.entries(edge().requestsTotal).map(([outcome, value]) => [[outcome], value]),
    );
    counter("keyhole_edge_control_refusals_total", "What the control port refused for an address's limits.", ["what"], () => [
      [["connection"], edge().refusedConnectionsTotal],
      [["login"], edge().limitedLoginsTotal],
    ]);
  }
  if (canary !== undefined) {
    gauge("keyhole_canary_up", "1 while a tunnel of our own is answered through the edge.", () => (canary()?.report?.ok === true ? 1 : 0));
    gauge("keyhole_canary_answer_seconds", "How long its last answer took.", () => (canary()?.report?.ms ?? 0) / 1000);
    counter("keyhole_canary_rounds_total", "Its rounds: ok, or the stage that failed.", ["result"], () =>
      Object.entries(canary()?.rounds ?? {}).map(([result, value]) => [[result], value]),
    );
  }
  return registry;
}

/** By code, of which there are as many as the catalogue has; what else may come is one. */
function countCodes(counts: readonly (readonly [string, number])[]): (readonly [readonly string[], number])[] {
  const sums = new Map<string, number>();
  for (const [code, count] of counts) {
    const known = code === "OK" || (refusalCodes as readonly string[]).includes(code) ? code : "other";
    sums.set(known, (sums.get(known) ?? 0) + count);
  }
  return [...sums].map(([code, count]) => [[code], count]);
}

/** Serves `/metrics` and `/healthz`. */
export async function startMetrics(options: {
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
}): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((request, response) => {
    if (request.url === "/healthz") return void response.writeHead(200, { "Content-Type": "text/plain" }).end("ok\n");
    if (request.url !== "/metrics") return void response.writeHead(404).end();
    options.registry.metrics().then(
      (text) => response.writeHead(200, { "Content-Type": options.registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === "EADDRINUSE"
          ? new Fault("PORT_BUSY", `The metrics port ${options.host}:${options.port} is in use.`, { cause })
          : cause,
      ),
    );
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
