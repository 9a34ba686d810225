/** Prometheus metrics and liveness on loopback. Bounded cardinality: no address, no label, no client. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Fault, type HistogramFigures } from "@keyhole/core";
import { collectDefaultMetrics, Gauge, type Metric, Registry } from "prom-client";
import { type MetricDefinition, metricDefinitions } from "./metric-definitions.ts";
import type { MetricSources } from "./metric-sources.ts";

/** A line of a scrape. */
type Line = { readonly metricName?: string; readonly labels: Readonly<Record<string, string | number>>; readonly value: number };

/** Makes the registry: what the parts of this process say, and what Node says about the process. */
export function createMetrics(options: { readonly version: string; readonly sources: MetricSources }): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "keyhole_" });
  const build = new Gauge({ name: "keyhole_build_info", help: "Always 1.", labelNames: ["version", "node"], registers: [registry] });
  build.set({ version: options.version, node: process.version }, 1);
  const sources = readOnce(options.sources);
  for (const definition of metricDefinitions) {
    if (definition.read(sources) === undefined) continue;
    const { name, help, type } = definition;
    // The registry asks nothing else of a metric. Its own kinds want each figure told to them; ours are counted where they happen.
    const metric = { name, get: async () => ({ name, help, type, values: readLines(definition, sources) }) };
    registry.registerMetric(metric as unknown as Metric);
  }
  return registry;
}

/** A source is asked once for all the metrics of a scrape. */
function readOnce(sources: MetricSources): MetricSources {
  const once = <Read>(read: () => Read): (() => Read) => {
    let last: { readonly value: Read } | undefined;
    return () => {
      if (last === undefined) {
        last = { value: read() };
        setImmediate(() => {
          last = undefined;
        });
      }
      return last.value;
    };
  };
  return Object.fromEntries(
    Object.entries(sources).map(([name, read]) => [name, read && once<unknown>(read as () => unknown)]),
  ) as MetricSources;
}

function readLines({ name, labels, read }: MetricDefinition, sources: MetricSources): readonly Line[] {
  const sums = new Map<string, { readonly labels: Record<string, string>; value: number | HistogramFigures }>();
  for (const { values, value } of read(sources) ?? []) {
    const bounded = Object.entries(labels).map(([label, known], at): [string, string] => {
      const given = values[at] ?? "";
      return [label, known.values.includes(given) ? given : "other"];
    });
    const key = bounded.map(([, text]) => text).join(" ");
    const former = sums.get(key);
    if (former === undefined) sums.set(key, { labels: Object.fromEntries(bounded), value });
    else if (typeof former.value === "number" && typeof value === "number") former.value += value;
  }
  return [...sums.values()].flatMap(({ labels: told, value }) =>
    typeof value === "number" ? [{ labels: told, value }] : renderHistogram(name, told, value),
  );
}

function renderHistogram(name: string, labels: Readonly<Record<string, string>>, figures: HistogramFigures): readonly Line[] {
  let count = 0;
  const buckets = figures.counts.map((each, at) => {
    count += each;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: figures.bounds[at] ?? "+Inf" }, value: count };
  });
  return [...buckets, { metricName: `${name}_sum`, labels, value: figures.sum }, { metricName: `${name}_count`, labels, value: count }];
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
