/** Prometheus metrics and liveness on loopback. Bounded cardinality: no address, no label, no client. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Fault } from "@keyhole/core";
import type { EdgeStats } from "@keyhole/edge";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** Figures that are read at each scrape. */
export type MetricSources = {
  readonly version: string;
  readonly plugin: () => { readonly sessions: number; readonly connected: number; readonly hookCalls: ReadonlyMap<string, number> };
  readonly frps: () => { readonly state: string; readonly restarts: number };
  readonly edge: () => EdgeFigures;
};

/** What is read of the edge. */
type EdgeFigures = Pick<
  EdgeStats,
  "openVisitorConnections" | "controlConnections" | "held" | "bytesInTotal" | "bytesOutTotal" | "requestsTotal"
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
  new Gauge({ name: "keyhole_build_info", help: "Always 1.", labelNames: ["version"], registers: [registry] }).set(
    { version: sources.version },
    1,
  );
  gauge("keyhole_sessions", "Admitted logins that live.", () => sources.plugin().sessions);
  gauge("keyhole_tunnels", "Sessions with a registered proxy.", () => sources.plugin().connected);
  gauge("keyhole_frps_up", "1 while frps is ready.", () => (sources.frps().state === "ready" ? 1 : 0));
  gauge("keyhole_frps_restarts", "Starts of frps after the first.", () => sources.frps().restarts);
  new Counter({
    name: "keyhole_plugin_requests_total",
    help: "Hook calls by operation and result.",
    labelNames: ["op", "result"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, count] of sources.plugin().hookCalls) {
        const [op = "", result = ""] = key.split(" ");
        this.inc({ op, result }, count);
      }
    },
  });
  const edge = (name: keyof Omit<EdgeFigures, "requestsTotal">, metric: string, help: string): void =>
    gauge(metric, help, () => sources.edge()[name]);
  edge("openVisitorConnections", "keyhole_edge_visitor_connections", "Open connections of visitors.");
  edge("controlConnections", "keyhole_edge_control_connections", "Open connections of frpc.");
  edge("held", "keyhole_edge_held_requests", "Requests that wait for a client to come back.");
  edge("bytesInTotal", "keyhole_edge_bytes_in_total", "Body bytes from visitors.");
  edge("bytesOutTotal", "keyhole_edge_bytes_out_total", "Body bytes to visitors.");
  new Counter({
    name: "keyhole_edge_requests_total",
    help: "Visitors' requests by outcome.",
    labelNames: ["outcome"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(sources.edge().requestsTotal)) this.inc({ outcome }, count);
    },
  });
  return registry;
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
