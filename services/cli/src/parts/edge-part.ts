/** The edge: the front door, and the door's far end. */
import { type NodeEdge, startNodeEdge } from "@keyhole/edge";
import { loopback } from "../listeners.ts";
import { openRates, type ReadRates, sumOf } from "../rates.ts";
import { openControlCertificate } from "../state/certificates.ts";
import { type Foundation, marker } from "./foundation.ts";

/** A running edge, the CA that frpc must trust, and how much there was to do in the last minute. */
export type EdgePart = AsyncDisposable & {
  readonly edge: NodeEdge;
  readonly caPem: string;
  readonly readRates: ReadRates<"requests" | "refusals">;
};

/** Starts it. It answers honestly from its map files with nothing else of ours alive. `stopGraceMs`: what is under way gets at a stop. */
export async function startEdgePart(foundation: Foundation, options: { readonly stopGraceMs?: number } = {}): Promise<EdgePart> {
  const { config, world, state, internal, portOf, component } = foundation;
  const certificate = await openControlCertificate({ state, host: config["control.host"], now: world.now });
  const { certFile, keyFile } = { certFile: config["edge.certFile"], keyFile: config["edge.keyFile"] };
  const edge = await startNodeEdge({
    domain: config.domain,
    controlHost: config["control.host"],
    publicScheme: foundation.publicScheme,
    mapsDir: state.folder("maps"),
    marker,
    appTimeoutSeconds: config["edge.appTimeoutSeconds"],
    visitors: {
      ...foundation.listenerOf("visitors"),
      ...(certFile === undefined ? {} : { certFile }),
      ...(keyFile === undefined ? {} : { keyFile }),
    },
    control: {
      ...foundation.listenerOf("control"),
      certFile: certificate.certFile,
      keyFile: certificate.keyFile,
    },
    frps: { host: loopback, bindPort: portOf("frps.bindPort"), vhostPort: portOf("frps.vhostHttpPort") },
    tokenService: { host: config["token.listen"].host, port: portOf("token.listen"), edgePassword: internal.edgePassword },
    trustedProxies: config["edge.trustedProxies"],
    limits: {
      connectionsPerAddress: config["limits.connectionsPerAddress"],
      loginsPerAddressPerMinute: config["limits.loginsPerAddressPerMinute"],
    },
    ...options,
    now: world.now,
    monotonicMs: world.monotonicMs,
    newRequestId: world.newRequestId,
    log: component("edge"),
  });
  const rates = openRates({
    requests: () => sumOf(Object.values(edge.stats().requestsTotal).flatMap((outcomes) => Object.values(outcomes))),
    refusals: () => {
      const { requestsTotal, refusedConnectionsTotal, limitedLoginsTotal } = edge.stats();
      return sumOf(Object.values(requestsTotal).map(({ refused }) => refused)) + refusedConnectionsTotal + limitedLoginsTotal;
    },
  });
  return {
    edge,
    caPem: certificate.caPem,
    readRates: rates.read,
    [Symbol.asyncDispose]: () => {
      rates[Symbol.dispose]();
      return edge.stop();
    },
  };
}
