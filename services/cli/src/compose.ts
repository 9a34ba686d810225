/**
 * Every part of Keyhole in one process: edge, token service, plugin and supervisor. The order is the order of need: the
 * edge answers honestly before anything else is up, frps starts when its hook answers, and the token service opens when a
 * token can be used. Stopping is the reverse.
 */
import { join } from "node:path";
import { Fault } from "@keyhole/core";
import type { FrpBinaries } from "@keyhole/frp";
import type { Plugin } from "@keyhole/plugin";
import type { Supervisor } from "@keyhole/supervisor";
import { serveAdmin } from "./admin/admin-app.ts";
import { openAdmin } from "./admin/open-admin.ts";
import { openAuditedTokenStore } from "./audit/audited-stores.ts";
import { awaitFrps } from "./await-frps.ts";
import { type Canary, startCanary } from "./canary/canary.ts";
import { withCanaryFacts } from "./canary/canary-facts.ts";
import { createCommitTimes } from "./commit-times.ts";
import type { Config } from "./config/settings.ts";
import { printAddress } from "./listeners.ts";
import type { Log } from "./log.ts";
import { createMetrics, startMetrics } from "./metrics.ts";
import { startEdgePart } from "./parts/edge-part.ts";
import { type Foundation, openFoundation } from "./parts/foundation.ts";
import { readEdgeFacts, readPluginFacts, readSupervisorFacts, readTokenFacts } from "./parts/part-facts.ts";
import { openPartSocket } from "./parts/part-socket.ts";
import { startPluginPart } from "./parts/plugin-part.ts";
import { startSupervisorPart } from "./parts/supervisor-part.ts";
import { checkStore, startTokenPart } from "./parts/token-part.ts";
import { createPartApp, createReadPart, type PartFacts } from "./sockets/part-status.ts";
import { createTellRevoked, serveRevocations, serveSessionEnds, serveTunnelStatus, withinEnforceTimeout } from "./sockets/plugin-socket.ts";
import { type PartName, partNames } from "./sockets/socket-path.ts";
import { writeReadyFile } from "./state/ready-file.ts";
import type { World } from "./world.ts";

/** Where everything serves. `edge` has `{label}` in it. */
export type KeyholeUrls = { readonly token: string; readonly edge: string; readonly control: string; readonly metrics: string };

/** A running Keyhole. */
export type Keyhole = AsyncDisposable & {
  readonly urls: KeyholeUrls;
  readonly binaries: FrpBinaries;
  readonly edgePort: number;
  readonly plugin: Plugin;
  readonly supervisor: Supervisor;
};

/** Whoever stops everything does not wait for streams. */
const stopGraceMs = 1000;

/**
 * Starts everything and resolves when a tunnel can be served. Throws a `Fault` or `FrpFault` that says what to do, and
 * leaves nothing running.
 */
export async function startKeyhole(config: Config, world: World, component: (name: string) => Log, signal?: AbortSignal): Promise<Keyhole> {
  const startedAt = world.now();
  await using stack = new AsyncDisposableStack();
  const foundation = stack.use(await openFoundation(config, world, component, partNames));
  const { state, portOf } = foundation;
  const tokenCommits = createCommitTimes(world.monotonicMs);
  let canary: Canary | undefined;
  const { tokens, trail } = stack.use(await openAuditedTokenStore(foundation, tokenCommits.timeCommit));
  const edgePart = stack.use(await startEdgePart(foundation, { stopGraceMs }));
  const { edge, caPem } = edgePart;
  const pluginPart = stack.use(await startPluginPart(foundation, { runtime: edge.runtime, tokens }));
  const { plugin, sessions, checkStore: checkSessions, readCommits } = pluginPart;
  const readPluginPart = (): Promise<PartFacts> => readPluginFacts(foundation, { ...pluginPart, edgeIsThere: undefined });
  const readPart = createReadPart("plugin", world, startedAt, readPluginPart);
  const admin = stack.use(await openAdmin(foundation, { plugin, sessions, tokens, readPart }));
  const supervisorPart = stack.use(await startSupervisorPart(foundation));
  const { supervisor, binaries } = supervisorPart;
  stack.defer(() => supervisor.stop());
  await awaitFrps(supervisor, signal);
  await plugin.reconcile();
  // frps says nothing when it dies: the sooner the sessions know, the sooner visitors get an honest answer.
  stack.defer(
    supervisor.onState((status) => {
      if (status.state === "backing-off" || status.state === "starting") void plugin.reconcile();
    }),
  );
  const tokenPart = stack.use(
    await startTokenPart(foundation, {
      tokens,
      readStanding: sessions.standing,
      trail,
      tellRevoked: createTellRevoked(() => withinEnforceTimeout(plugin.enforceRevocations())),
      readStatus: plugin.readStatus,
      readiness: async () => {
        const frps = supervisor.status().state;
        return { frps: { ok: frps === "ready", detail: frps }, sessions: await checkStore(checkSessions) };
      },
      readCanary: async () => canary?.report(),
      caPem: () => caPem,
    }),
  );
  const { service, stats: tokenStats } = tokenPart;
  const registry = createMetrics({
    version: world.version,
    sources: {
      plugin: plugin.stats,
      clockBehindMs: pluginPart.clock.behindMs,
      frps: () => supervisor.status(),
      edge: () => edge.stats(),
      token: tokenStats,
      canary: () => canary?.stats(),
      commits: () => ({ tokens: tokenCommits.read(), sessions: readCommits() }),
      ...(world.isConfigOutdated && { isConfigOutdated: world.isConfigOutdated }),
    },
  });
  const metrics = stack.use(await startMetrics({ host: config["metrics.listen"].host, port: portOf(foundation.metricsKey), registry }));
  const facts: Readonly<Record<PartName, () => PartFacts | Promise<PartFacts>>> = {
    edge: () => readEdgeFacts(foundation, edgePart),
    token: () => readTokenFacts(foundation, tokenPart, () => tokens.check()),
    plugin: readPluginPart,
    supervisor: () => withCanaryFacts(readSupervisorFacts(supervisorPart), canary?.report(), world.now()),
  };
  for (const part of partNames) {
    const app = createPartApp(part, world, startedAt, facts[part]);
    if (part === "plugin") {
      serveTunnelStatus(app, plugin.readStatus);
      serveRevocations(app, () => plugin.enforceRevocations());
      serveSessionEnds(app, (kinds) => plugin.endSessionsOf(kinds));
      serveAdmin(app, admin.app, world.newRequestId);
    }
    stack.use(await openSocketIfPossible(foundation, part, app));
  }
  const urls: KeyholeUrls = {
    token: service.url,
    edge: foundation.publicUrl,
    control: `tcp://${config["control.host"]}:${edge.controlPort}`,
    metrics: `http://${printAddress({ host: config["metrics.listen"].host, port: metrics.port })}`,
  };
  stack.use(
    writeReadyFile({
      file: join(state.path, "ready.json"),
      pid: world.pid,
      urls,
      binaries: { frps: binaries.frps.path, frpc: binaries.frpc.path },
    }),
  );
  // Last to start and first to stop: nobody who waits for a start waits for it.
  canary = stack.use(await startCanary(foundation, binaries.frpc));
  const running = stack.move();
  return { urls, binaries, edgePort: edge.visitorsPort, plugin, supervisor, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** In one process the sockets only tell the status: a state directory whose path is too long for one must not keep Keyhole from serving. */
async function openSocketIfPossible(
  foundation: Foundation,
  part: PartName,
  app: Parameters<typeof openPartSocket>[2],
): Promise<AsyncDisposable | undefined> {
  try {
    return await openPartSocket(foundation, part, app);
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    foundation.component(part).warn({ code: fault.code }, `keyhole status cannot ask this part: ${fault.message}`);
    return undefined;
  }
}
