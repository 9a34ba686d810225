/**
 * Every part of Keyhole in one process: edge, token service, plugin and supervisor. The order is the order of need: the
 * edge answers honestly before anything else is up, frps starts when its hook answers, and the token service opens when a
 * token can be used. Stopping is the reverse.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Fault, mintTunnelToken, verifyProof } from "@keyhole/core";
import { createDoor, startNodeEdge } from "@keyhole/edge";
import { createDashboard, type FrpBinaries, FrpFault, kick, locateBinaries } from "@keyhole/frp";
import { type Plugin, type ReadFrps, startPlugin } from "@keyhole/plugin";
import { openSessionStore, openStateLock, openTokenStore } from "@keyhole/store";
import { type Supervisor, startSupervisor } from "@keyhole/supervisor";
import { createTokenApp, startTokenService } from "@keyhole/token";
import { awaitFrps } from "./await-frps.ts";
import { renderClientConfig } from "./client-config.ts";
import type { Config } from "./config/settings.ts";
import { listenKeys, loopback, printAddress, requireFree, wantedPorts } from "./listeners.ts";
import type { Log } from "./log.ts";
import { createMetrics, startMetrics } from "./metrics.ts";
import { openControlCertificate } from "./state/certificates.ts";
import { openKeyRing } from "./state/key-files.ts";
import { openPorts } from "./state/ports.ts";
import { makePrivateDirectory } from "./state/private-file.ts";
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

/** The response header that only answers of a proxied app carry between frps and the edge. */
const marker = "x-keyhole-app";

/**
 * Starts everything and resolves when a tunnel can be served. Throws a `Fault` or `FrpFault` that says what to do, and
 * leaves nothing running.
 */
export async function startKeyhole(config: Config, world: World, component: (name: string) => Log, signal?: AbortSignal): Promise<Keyhole> {
  const { now, randomBytes, newRequestId } = world;
  const { domain, stateDir } = config;
  await using stack = new AsyncDisposableStack();
  makePrivateDirectory(stateDir);
  stack.use(await openStateLock({ dir: stateDir, pid: world.pid }));
  // Left by a process that was killed: until we serve, nobody may believe it.
  rmSync(join(stateDir, "ready.json"), { force: true });
  const binaries = await locateBinaries({ cacheDir: world.binaryCache, env: world.env });
  const internal = await openPorts({
    file: join(stateDir, "ports.json"),
    wanted: wantedPorts(config),
    recordFile: join(stateDir, "frps.json"),
    randomBytes,
  });
  const portOf = (key: string): number => internal.ports[key] ?? 0;
  for (const key of listenKeys) await requireFree(key, config[key].host, portOf(key));
  const tokenKeys = openKeyRing({ dir: join(stateDir, "keys", "token-hmac"), now, randomBytes });
  const ticketKeys = openKeyRing({ dir: join(stateDir, "keys", "ticket-hmac"), now, randomBytes });
  const certificate = await openControlCertificate({ dir: join(stateDir, "control"), host: config["control.host"], now });
  const tokens = stack.use(await openTokenStore({ path: join(stateDir, "tokens.db"), log: component("store") }));
  const sessions = stack.use(await openSessionStore({ path: join(stateDir, "sessions.db"), log: component("store") }));

  const scheme = config["edge.certFile"] === undefined ? "http" : "https";
  const publicUrl = config["edge.publicUrl"] ?? `${scheme}://{label}.${domain}:${portOf("edge.listen")}`;
  const publicScheme = publicUrl.startsWith("https:") ? "https" : "http";
  const mapsDir = join(stateDir, "maps");
  makePrivateDirectory(mapsDir);
  const edge = stack.use(
    await startNodeEdge({
      domain,
      controlHost: config["control.host"],
      publicScheme,
      mapsDir,
      marker,
      appTimeoutSeconds: config["edge.appTimeoutSeconds"],
      visitors: {
        host: config["edge.listen"].host,
        port: portOf("edge.listen"),
        ...(config["edge.certFile"] === undefined ? {} : { certFile: config["edge.certFile"] }),
        ...(config["edge.keyFile"] === undefined ? {} : { keyFile: config["edge.keyFile"] }),
      },
      control: {
        host: config["control.listen"].host,
        port: portOf("control.listen"),
        certFile: certificate.certFile,
        keyFile: certificate.keyFile,
      },
      frps: { host: loopback, bindPort: portOf("frps.bindPort"), vhostPort: portOf("frps.vhostHttpPort") },
      tokenService: { host: config["token.listen"].host, port: portOf("token.listen") },
      now,
      newRequestId,
      log: component("edge"),
    }),
  );

  const dashboardUser = "keyhole";
  const hookUser = "frps";
  const dashboard = createDashboard({
    port: portOf("frps.dashboardPort"),
    user: dashboardUser,
    password: internal.dashboardPassword,
    timeoutMs: 1500,
  });
  const plugin = stack.use(
    await startPlugin({
      domain,
      scheme: publicScheme,
      marker,
      hook: { host: config["plugin.listen"].host, port: portOf("plugin.listen"), user: hookUser, password: internal.hookPassword },
      tokens,
      sessions,
      door: createDoor({ mapsDir, runtime: edge.runtime, now, log: component("edge") }),
      tokenKeys,
      ticketKeys,
      ttlSeconds: config["token.ttlSeconds"],
      sendKick: ({ runId, metas, timeoutMs }) => kick({ host: loopback, port: portOf("frps.bindPort"), runId, metas, timeoutMs, now }),
      readFrps: createReadFrps(dashboard),
      now,
      randomBytes,
      log: component("plugin"),
    }),
  );

  const supervisor = stack.use(
    await startSupervisor({
      frps: binaries.frps,
      settings: {
        bindPort: portOf("frps.bindPort"),
        vhostHttpPort: portOf("frps.vhostHttpPort"),
        vhostHttpTimeoutSeconds: config["edge.appTimeoutSeconds"],
        dashboardPort: portOf("frps.dashboardPort"),
        dashboardUser,
        dashboardPassword: internal.dashboardPassword,
        hookPort: plugin.hookPort,
        hookUser,
        hookPassword: internal.hookPassword,
      },
      stateDir,
      now,
      log: component("supervisor"),
    }),
  );
  await awaitFrps(supervisor, signal);
  await plugin.reconcile();
  // frps says nothing when it dies: the sooner the sessions know, the sooner visitors get an honest answer.
  stack.defer(
    supervisor.onState(({ state }) => {
      if (state === "backing-off" || state === "starting") void plugin.reconcile();
    }),
  );

  const tunnelUrl = (label: string): string => publicUrl.replace("{label}", label);
  const settings = {
    productName: config["token.productName"],
    ttlSeconds: config["token.ttlSeconds"],
    timestampWindowSeconds: config["token.timestampWindowSeconds"],
    tunnelUrl,
    serverAddr: config["control.host"],
    serverPort: portOf("control.listen"),
    serverName: config["control.host"],
    version: world.version,
  };
  const tokenApp = createTokenApp({
    verifyProof: (proof) => verifyProof(proof, settings),
    store: tokens,
    mint: (token) => mintTunnelToken(token, tokenKeys()),
    readStatus: plugin.readStatus,
    readiness: async () => {
      const state = supervisor.status().state;
      return {
        frps: { ok: state === "ready", detail: state },
        store: await checkStore(() => tokens.check()),
        sessions: await checkStore(() => sessions.check()),
      };
    },
    renderClientConfig: (grant, options) =>
      renderClientConfig({ grant, serverName: settings.serverName, caPem: certificate.caPem, ...options }),
    caPem: () => certificate.caPem,
    now,
    newRequestId,
    log: component("token"),
    settings,
  });
  const tokenService = stack.use(
    await startTokenService({
      app: tokenApp,
      newRequestId,
      log: component("token"),
      host: config["token.listen"].host,
      port: portOf("token.listen"),
    }),
  );

  const registry = createMetrics({
    version: world.version,
    plugin: plugin.stats,
    frps: () => supervisor.status(),
    edge: () => edge.stats(),
  });
  const metrics = stack.use(await startMetrics({ host: config["metrics.listen"].host, port: portOf("metrics.listen"), registry }));
  const urls: KeyholeUrls = {
    token: tokenService.url,
    edge: publicUrl,
    control: `tcp://${config["control.host"]}:${edge.controlPort}`,
    metrics: `http://${printAddress({ host: config["metrics.listen"].host, port: metrics.port })}`,
  };
  stack.use(
    writeReadyFile({
      file: join(stateDir, "ready.json"),
      pid: world.pid,
      urls,
      binaries: { frps: binaries.frps.path, frpc: binaries.frpc.path },
    }),
  );
  const running = stack.move();
  return { urls, binaries, edgePort: edge.visitorsPort, plugin, supervisor, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** frps's view, or "gone" when nothing listens on its dashboard: then every session is over, and nobody will say so. */
function createReadFrps(dashboard: ReturnType<typeof createDashboard>): ReadFrps {
  return async () => {
    try {
      const [clients, proxies] = await Promise.all([dashboard.readClients(), dashboard.readProxies()]);
      return { clients, proxies };
    } catch (cause) {
      if (cause instanceof FrpFault && (cause.cause as NodeJS.ErrnoException | undefined)?.code === "ECONNREFUSED") return "gone";
      throw cause;
    }
  };
}

async function checkStore(check: () => Promise<void>): Promise<{ ok: boolean; detail?: string }> {
  try {
    await check();
    return { ok: true };
  } catch (cause) {
    return { ok: false, detail: cause instanceof Fault ? cause.code : "STORE_UNAVAILABLE" };
  }
}
