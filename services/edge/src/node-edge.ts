/**
 * The embedded door: visitors' port and control port in one Node process (DESIGN.md §1). It reads the map files once, at
 * its start, so that it answers honestly with nothing else of ours alive; after that the door changes it in memory.
 */
import type { HistogramFigures } from "@keyhole/core";
import { createBlockedNetworks } from "./blocked-networks.ts";
import type { ControlLimits } from "./control-limits.ts";
import { startControlListener } from "./control-listener.ts";
import type { EdgeRuntime } from "./edge-runtime.ts";
import { createEdgeCounters, type OutcomeClass, type RequestClass } from "./edge-stats.ts";
import { createHoldRoom } from "./hold-room.ts";
import { createLabelEvidence } from "./label-evidence.ts";
import { createLabelStates, returnMs } from "./label-states.ts";
import { createLabelTraffic } from "./label-traffic.ts";
import type { ListenOn } from "./listen.ts";
import type { Log } from "./log.ts";
import { readMapFiles } from "./map-files.ts";
import { createNodeRuntime } from "./node-runtime.ts";
import { createUpstream } from "./upstream.ts";
import { createVisitorAddress } from "./visitor-address.ts";
import { startVisitorsListener } from "./visitors-listener.ts";

/** Held requests: overall, for one label, and of one visitor's address. */
const holdLimits = { overall: 1000, perLabel: 100, perSource: 100 } as const;
/** Requests that wait for the token service to be there again. */
const serviceHoldLimits = { overall: 200, perLabel: 200, perSource: 50 } as const;
/** The token service answers within milliseconds and holds no streams; more connections are only more to exhaust. */
const serviceConnections = 64;
/** It is also how long a request waits in the queue of a held socket that no token service takes it from. */
const serviceTimeoutMs = 15_000;
/** frps answers 504 at `appTimeoutSeconds` itself; ours is the answer when even that does not come. */
const beyondAppTimeoutMs = 5000;
const defaultStopGraceMs = 5000;
const defaultPatience = { idleMs: 60_000, bodyStallMs: 60_000 } as const;

/** Where the Node edge listens, whom it serves, and what it needs of the world. */
export type NodeEdgeOptions = {
  /** Lower-case name; labels live directly below it. */
  readonly domain: string;
  readonly controlHost?: string;
  /** The scheme visitors use, told to apps as `X-Forwarded-Proto`. */
  readonly publicScheme: "http" | "https";
  readonly mapsDir: string;
  /** The response header that frps puts on genuine answers. */
  readonly marker: string;
  readonly appTimeoutSeconds: number;
  /** An address, or the descriptor of a listening socket that somebody else holds. HTTPS when both files are set, plain HTTP otherwise. */
  readonly visitors: ListenOn & { readonly certFile?: string; readonly keyFile?: string };
  readonly control: ListenOn & { readonly certFile: string; readonly keyFile: string };
  readonly frps: { readonly host: string; readonly bindPort: number; readonly vhostPort: number };
  /** `edgePassword` proves to the token service that it is us who ask, and so that `X-Forwarded-For` is true. */
  readonly tokenService: { readonly host: string; readonly port: number; readonly edgePassword: string };
  /** Networks (CIDR) of our own proxies before the visitors' port: what they say about whom they ask for is believed. */
  readonly trustedProxies: readonly string[];
  /** What one address may have of the control port. */
  readonly limits: ControlLimits;
  /** A control connection that nobody claims is ended after this. Default: 15,000. */
  readonly claimTimeoutMs?: number;
  /** How long `stop` waits for requests, streams and WebSockets under way. Idle visitors have half a second. Default: 5,000. */
  readonly stopGraceMs?: number;
  /** How long after the start a label's client may take to come back; visitors are held meanwhile. Default: 3,000. 0: not at all. */
  readonly returnMs?: number;
  /** How long a visitor's connection without a request is kept, and one whose body does not come. Default: 60,000 each. */
  readonly patience?: { readonly idleMs: number; readonly bodyStallMs: number };
  readonly now: () => Date;
  /** Milliseconds from some moment on; never backwards. */
  readonly monotonicMs: () => number;
  readonly newRequestId: () => string;
  readonly log: Log;
};

/** Figures for a metrics page. Totals only rise. */
export type EdgeStats = {
  readonly openVisitorConnections: number;
  readonly controlConnections: number;
  readonly held: number;
  readonly liveLabels: number;
  readonly requestsTotal: Readonly<Record<RequestClass, Readonly<Record<OutcomeClass, number>>>>;
  /** From a parsed head to the first question to frps or the token service. */
  readonly overheadSeconds: HistogramFigures;
  /** From a parsed head to the head of the answer that came from there. */
  readonly firstByteSeconds: HistogramFigures;
  readonly bytesInTotal: number;
  readonly bytesOutTotal: number;
  readonly controlBytesInTotal: number;
  readonly controlBytesOutTotal: number;
  /** Control connections that were closed before TLS, because their network is blocked or their address had too many or connected too often. */
  readonly refusedConnectionsTotal: number;
  /** Logins that were to be refused because their address logged in too often. */
  readonly limitedLoginsTotal: number;
};

/** A running edge. */
export type NodeEdge = {
  readonly visitorsUrl: string;
  readonly controlPort: number;
  readonly visitorsPort: number;
  readonly runtime: EdgeRuntime;
  stats(): EdgeStats;
  /** Stops accepting, serves what is there to its end (`stopGraceMs`), and then ends the tunnels' connections. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Opens both ports. Throws `PORT_BUSY`, `CERTIFICATE_UNREADABLE` or `STATE_UNWRITABLE`, with nothing left open. */
export async function startNodeEdge(options: NodeEdgeOptions): Promise<NodeEdge> {
  const { log, now } = options;
  const counters = createEdgeCounters(options.monotonicMs);
  const visitorAddress = createVisitorAddress(options.trustedProxies);
  const files = await readMapFiles(options.mapsDir, log);
  const states = createLabelStates(files, { at: now(), forMs: options.returnMs ?? returnMs });
  const networks = createBlockedNetworks(files.blockedNetworks.keys());
  const evidence = createLabelEvidence({ now, epoch: options.newRequestId() });
  const traffic = createLabelTraffic();
  const room = createHoldRoom(holdLimits);
  const serviceRoom = createHoldRoom(serviceHoldLimits);
  const headersTimeoutMs = options.appTimeoutSeconds * 1000 + beyondAppTimeoutMs;
  const { idleMs, bodyStallMs } = options.patience ?? defaultPatience;
  const frps = createUpstream({
    host: options.frps.host,
    port: options.frps.vhostPort,
    marker: options.marker.toLowerCase(),
    headersTimeoutMs,
    bodyStallMs,
    counters,
  });
  const service = createUpstream({
    host: options.tokenService.host,
    port: options.tokenService.port,
    marker: undefined,
    headersTimeoutMs: serviceTimeoutMs,
    bodyStallMs,
    maxConnections: serviceConnections,
    counters,
  });

  const { certFile, keyFile } = options.visitors;
  const visitors = await startVisitorsListener({
    listen: options.visitors,
    certificate: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    names: {
      domain: options.domain.toLowerCase(),
      ...(options.controlHost === undefined ? {} : { controlHost: options.controlHost.toLowerCase() }),
    },
    scheme: options.publicScheme,
    states,
    evidence,
    traffic,
    room,
    frps,
    service,
    serviceRoom,
    edgePassword: options.tokenService.edgePassword,
    visitorAddress,
    isBlocked: networks.isBlocked,
    idleMs,
    counters,
    now,
    newRequestId: options.newRequestId,
    log,
  });
  const control = await startControlListener({
    listen: options.control,
    certFile: options.control.certFile,
    keyFile: options.control.keyFile,
    frps: { host: options.frps.host, port: options.frps.bindPort },
    limits: options.limits,
    isBlocked: networks.isBlocked,
    ...(options.claimTimeoutMs === undefined ? {} : { claimTimeoutMs: options.claimTimeoutMs }),
    // The plugin will hear of it, from frps or its dashboard, and say what becomes of the label. Until then it is in transition.
    onLost(label) {
      states.lose(label);
      if (states.isLost(label)) evidence.failed(evidence.witness(label), "CLIENT_LOST");
    },
    now,
    log,
  }).catch(async (error: unknown) => {
    await visitors.close(0);
    throw error;
  });

  const runtime = createNodeRuntime({ states, traffic, evidence, networks, control, visitors, log });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      control.close();
      // Visitors first: what is under way still needs its tunnel, and what is held may yet be served.
      await visitors.close(options.stopGraceMs ?? defaultStopGraceMs);
      states.close();
      control[Symbol.dispose]();
      await Promise.all([frps.pool.destroy(), service.pool.destroy()]);
    })();
    return stopping;
  };

  const { host } = visitors;
  return {
    visitorsUrl: `${visitors.isSecure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${visitors.port}`,
    controlPort: control.port,
    visitorsPort: visitors.port,
    runtime,
    stats: () => ({
      openVisitorConnections: visitors.connections(),
      controlConnections: control.connections(),
      held: room.held() + serviceRoom.held(),
      liveLabels: states.liveCount(),
      requestsTotal: counters.requestsTotal,
      overheadSeconds: counters.overheadSeconds.read(),
      firstByteSeconds: counters.firstByteSeconds.read(),
      bytesInTotal: counters.bytesInTotal,
      bytesOutTotal: counters.bytesOutTotal,
      controlBytesInTotal: control.bytes().in,
      controlBytesOutTotal: control.bytes().out,
      refusedConnectionsTotal: control.refusals().connections,
      limitedLoginsTotal: control.refusals().logins,
    }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
