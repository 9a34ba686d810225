/**
 * One part of Keyhole in a process of its own. It is made of the same pieces as in `keyhole up`; what it needs of the others
 * comes over their sockets, and none of them has to be up for it to start. Any of them may die at any moment.
 */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "@keyhole/core";
import { openSessionReader, openTokenReader } from "@keyhole/store";
import { serveAdmin } from "./admin/admin-app.ts";
import { openAdmin } from "./admin/open-admin.ts";
import { openAuditedTokenStore } from "./audit/audited-stores.ts";
import { startCanary } from "./canary/canary.ts";
import { withCanaryFacts } from "./canary/canary-facts.ts";
import { createCommitTimes } from "./commit-times.ts";
import type { Config } from "./config/settings.ts";
import type { Log } from "./log.ts";
import type { MetricSources } from "./metric-sources.ts";
import { createMetrics, startMetrics } from "./metrics.ts";
import { type EdgePart, startEdgePart } from "./parts/edge-part.ts";
import { type Foundation, openFoundation } from "./parts/foundation.ts";
import { readEdgeFacts, readPluginFacts, readSupervisorFacts, readTokenFacts } from "./parts/part-facts.ts";
import { openPartSocket } from "./parts/part-socket.ts";
import { startPluginPart } from "./parts/plugin-part.ts";
import { startSupervisorPart } from "./parts/supervisor-part.ts";
import { startTokenPart, type TokenPart } from "./parts/token-part.ts";
import { createRemoteCanary, serveCanary } from "./sockets/canary-socket.ts";
import { connectEdge, serveEdgeCalls } from "./sockets/edge-socket.ts";
import { createPartApp, createReadPart, type PartStatus, partStatus } from "./sockets/part-status.ts";
import {
  createRemoteTunnelStatus,
  createTellRevoked,
  enforceTimeoutMs,
  serveRevocations,
  serveSessionEnds,
  serveTunnelStatus,
} from "./sockets/plugin-socket.ts";
import { createSocketClient, type SocketClient } from "./sockets/socket-client.ts";
import { type PartName, socketPath } from "./sockets/socket-path.ts";
import { createReadControlCa } from "./state/certificates.ts";
import type { World } from "./world.ts";

/** A running part. `summary` is one line for a person. */
export type RunningPart = AsyncDisposable & { readonly summary: string };

type Start = (foundation: Foundation, context: Context) => Promise<RunningPart>;
type Context = { readonly startedAt: Date; readonly signal: AbortSignal; readonly askToStop: () => void };

/**
 * Starts a part and resolves when it serves. `askToStop` is called when somebody asks for the end on the socket. Disposing a
 * supervisor leaves frps running. Throws a fault that says what to do, with nothing left open.
 */
export async function startPart(
  part: PartName,
  config: Config,
  world: World,
  component: (name: string) => Log,
  context: { readonly signal: AbortSignal; readonly askToStop: () => void },
): Promise<RunningPart> {
  const startedAt = world.now();
  await using stack = new AsyncDisposableStack();
  const foundation = stack.use(await openFoundation(config, world, component, [part]));
  const { summary } = stack.use(await starters[part](foundation, { startedAt, ...context }));
  const running = stack.move();
  return { summary, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

const startEdge: Start = async (foundation, { startedAt }) => {
  await using stack = new AsyncDisposableStack();
  // The socket is there before the edge serves anybody, and until it serves nobody any more: to the plugin, no socket means
  // that there is no edge, and so a block is acknowledged that nobody was told (invariant 12).
  const starting = Promise.withResolvers<EdgePart>();
  starting.promise.catch(() => {});
  let part: EdgePart | undefined;
  const app = createPartApp("edge", foundation.world, startedAt, () => readEdgeFacts(foundation, part));
  serveEdgeCalls(
    app,
    starting.promise.then(({ edge }) => edge.runtime),
  );
  stack.use(await openPartSocket(foundation, "edge", app));
  try {
    part = stack.use(await startEdgePart(foundation));
    starting.resolve(part);
  } catch (fault) {
    starting.reject(fault);
    throw fault;
  }
  const { stats, visitorsUrl, controlPort } = part.edge;
  stack.use(await openMetrics(foundation, { edge: stats }));
  return keepRunning(stack, `visitors ${visitorsUrl}, frpc tcp://${foundation.config["control.host"]}:${controlPort}`);
};

const startToken: Start = async (foundation, { startedAt, signal }) => {
  const { state, world, component } = foundation;
  await using stack = new AsyncDisposableStack();
  const { timeCommit, read: readCommits } = createCommitTimes(world.monotonicMs);
  const { tokens, trail } = stack.use(await openAuditedTokenStore(foundation, timeCommit));
  const sessions = stack.use(await openSessionReader({ path: join(state.path, "sessions.db") }));
  const plugin = stack.use(createSocketClient(socketPath(state.path, "plugin")));
  const supervisor = stack.use(createSocketClient(socketPath(state.path, "supervisor")));
  // A client of its own: whoever revokes does not wait behind questions.
  const enforcer = stack.use(createSocketClient(socketPath(state.path, "plugin")));
  let part: TokenPart | undefined;
  const app = createPartApp("token", world, startedAt, () => {
    if (part !== undefined) return readTokenFacts(foundation, part, () => tokens.check());
    const problem = "the edge has never run here, and makes the control CA at its first start. Start it: keyhole edge";
    return { summary: "waiting for the edge", facts: {}, problems: [problem] };
  });
  stack.use(await openPartSocket(foundation, "token", app));
  const readCa = createReadControlCa(state);
  await awaitControlCa(readCa, component("token"), signal);
  part = stack.use(
    await startTokenPart(foundation, {
      tokens,
      readStanding: sessions.standing,
      trail,
      tellRevoked: createTellRevoked(() => enforcer.call("POST", "/revocations", {}, enforceTimeoutMs)),
      readStatus: createRemoteTunnelStatus({ plugin, sessions, now: world.now }),
      readiness: async () => {
        const [frps, hook] = await Promise.all([askStatus(supervisor), askStatus(plugin)]);
        return {
          frps: { ok: frps?.facts["frps"] === "ready", detail: String(frps?.facts["frps"] ?? "the supervisor does not answer") },
          plugin: { ok: hook !== undefined, detail: hook?.summary ?? "the plugin does not answer" },
        };
      },
      readCanary: createRemoteCanary(supervisor),
      caPem: () => readCa() ?? "",
    }),
  );
  stack.use(await openMetrics(foundation, { token: part.stats, commits: () => ({ tokens: readCommits() }) }));
  return keepRunning(stack, `the token service on ${part.service.url}`);
};

const startPlugin: Start = async (foundation, { startedAt }) => {
  const { state, world, component } = foundation;
  await using stack = new AsyncDisposableStack();
  const tokens = stack.use(await openTokenReader({ path: join(state.path, "tokens.db") }));
  const pushing = Promise.withResolvers<() => Promise<void>>();
  const edge = stack.use(
    connectEdge({
      path: socketPath(state.path, "edge"),
      onEdge: async () => (await pushing.promise)(),
      log: component("edge"),
    }),
  );
  const pluginPart = stack.use(await startPluginPart(foundation, { runtime: edge.runtime, tokens }));
  const { plugin, sessions, readCommits } = pluginPart;
  pushing.resolve(() => plugin.pushAll());
  stack.use(
    await openMetrics(foundation, {
      plugin: plugin.stats,
      clockBehindMs: pluginPart.clock.behindMs,
      commits: () => ({ sessions: readCommits() }),
    }),
  );
  const readFacts = () => readPluginFacts(foundation, { ...pluginPart, edgeIsThere: edge.isThere() });
  const readPart = createReadPart("plugin", world, startedAt, readFacts);
  const admin = stack.use(await openAdmin(foundation, { plugin, sessions, tokens, readPart }));
  const app = createPartApp("plugin", world, startedAt, readFacts);
  serveTunnelStatus(app, plugin.readStatus);
  serveRevocations(app, () => plugin.enforceRevocations());
  serveSessionEnds(app, (kinds) => plugin.endSessionsOf(kinds));
  serveAdmin(app, admin.app, world.newRequestId);
  stack.use(await openPartSocket(foundation, "plugin", app));
  return keepRunning(stack, `frps's hook on port ${plugin.hookPort}`);
};

const startSupervisor: Start = async (foundation, { startedAt, askToStop }) => {
  const { world } = foundation;
  await using stack = new AsyncDisposableStack();
  const part = stack.use(await startSupervisorPart(foundation));
  const { supervisor, binaries } = part;
  const canary = stack.use(await startCanary(foundation, binaries.frpc));
  stack.use(await openMetrics(foundation, { frps: () => supervisor.status(), canary: () => canary?.stats() }));
  const app = createPartApp("supervisor", world, startedAt, () =>
    withCanaryFacts(readSupervisorFacts(part), canary?.report(), world.now()),
  );
  serveCanary(app, () => canary?.report());
  app.post("/stop", async (c) => {
    const { pid } = supervisor.status();
    await supervisor.stop();
    setImmediate(askToStop);
    return c.json({ pid: pid ?? null });
  });
  stack.use(await openPartSocket(foundation, "supervisor", app));
  return keepRunning(stack, readSupervisorFacts(part).summary);
};

const starters: Readonly<Record<PartName, Start>> = {
  edge: startEdge,
  token: startToken,
  plugin: startPlugin,
  supervisor: startSupervisor,
};

function keepRunning(stack: AsyncDisposableStack, summary: string): RunningPart {
  const running = stack.move();
  return { summary, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function openMetrics(foundation: Foundation, sources: MetricSources): Promise<AsyncDisposable> {
  const { config, world, portOf, metricsKey } = foundation;
  const registry = createMetrics({
    version: world.version,
    sources: { ...sources, ...(world.isConfigOutdated && { isConfigOutdated: world.isConfigOutdated }) },
  });
  return await startMetrics({ host: config["metrics.listen"].host, port: portOf(metricsKey), registry });
}

async function askStatus(client: SocketClient): Promise<PartStatus | undefined> {
  const answer = await client.call("GET", "/status", undefined, 500).catch(() => undefined);
  return partStatus.safeParse(answer).data;
}

/** The edge makes the CA at its first start; a token without it would be of no use. */
async function awaitControlCa(readCa: () => string | undefined, log: Log, signal: AbortSignal): Promise<void> {
  if (readCa() !== undefined) return;
  log.warn({ event: "token.waiting" }, "waiting for the edge to make the control CA at its first start");
  while (readCa() === undefined) {
    if (signal.aborted) throw new Fault("CERTIFICATE_UNREADABLE", "Stopped before the edge had made the control CA.");
    await wait(100);
  }
}
