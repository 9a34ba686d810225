/** A real frps with a scripted hook, and real frpc's before it. Everything ends with the test, by pid. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createDashboard,
  type Dashboard,
  deriveFrpsConfig,
  type FrpBinaries,
  type FrpsConfig,
  type FrpsSettings,
  kick,
  locateBinaries,
  renderFrpsConfig,
  verifyFrpsConfig,
} from "../../src/index.ts";
import { renderToml, type TomlValue } from "../../src/toml.ts";
import { awaitFact } from "./await-fact.ts";
import { type Child, startChild } from "./child.ts";
import { type HookScript, type HookServer, startHookServer } from "./hook-server.ts";
import { freePorts, type Visit, visit } from "./servers.ts";

/** The real binaries. A missing one is a failure, never a skip. */
export function findBinaries(): Promise<FrpBinaries> {
  // biome-ignore lint/style/noProcessEnv: FRPS_BIN and FRPC_BIN choose the binaries of a test run.
  return locateBinaries({ cacheDir: fileURLToPath(new URL("../../../.cache/frp", import.meta.url)), env: process.env });
}

/** A frpc of the test: what differs from a plain client of one http proxy. */
type ClientOptions = {
  readonly name: string;
  readonly localPort: number;
  readonly subdomain: string;
  readonly extra?: { readonly [key: string]: TomlValue };
  readonly proxies?: readonly TomlValue[];
  readonly env?: Readonly<Record<string, string>>;
};

/** frps, its hook and what can be done to them. */
export type World = {
  readonly directory: string;
  readonly binaries: FrpBinaries;
  readonly settings: FrpsSettings;
  readonly hook: HookServer;
  readonly dashboard: Dashboard;
  frps: Child;
  startFrps(): Promise<void>;
  /** One more frps on the same config, as it comes. */
  runFrps(): Child;
  startClient(options: ClientOptions): Promise<Child>;
  /** Runs frpc on a file of the test's own, in the world's directory. */
  runClient(configPath: string): Child;
  visit(host: string, path?: string): Promise<Visit>;
  awaitVisit(host: string, body: string): Promise<Visit>;
  kick(runId: string, how?: { readonly tcpMux?: boolean; readonly tls?: { readonly rejectUnauthorized: boolean } }): Promise<void>;
  describe(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Starts frps from the config that production derives, changed by `configure`. */
export async function startWorld(
  options: {
    readonly script?: HookScript;
    readonly settings?: Partial<FrpsSettings>;
    readonly configure?: (config: FrpsConfig) => { readonly [key: string]: unknown };
  } = {},
): Promise<World> {
  const binaries = await findBinaries();
  const directory = await mkdtemp(join(tmpdir(), "keyhole-frp-e2e-"));
  const hook = await startHookServer(options.script);
  const [bindPort = 0, vhostHttpPort = 0, dashboardPort = 0] = await freePorts(3);
  const settings: FrpsSettings = {
    bindPort,
    vhostHttpPort,
    vhostHttpTimeoutSeconds: 5,
    dashboardPort,
    dashboardUser: "keyhole",
    dashboardPassword: "dashboard-password",
    hookPort: hook.port,
    hookUser: "frps",
    hookPassword: "hook-password",
    ...options.settings,
  };
  const config = deriveFrpsConfig(settings);
  const configPath = join(directory, "frps.toml");
  const text =
    options.configure === undefined ? renderFrpsConfig(config) : renderToml(options.configure(config) as { [key: string]: TomlValue });
  await writeFile(configPath, text, { mode: 0o600 });
  await verifyFrpsConfig(binaries.frps.path, configPath);

  const dashboard = createDashboard({
    port: dashboardPort,
    user: settings.dashboardUser,
    password: settings.dashboardPassword,
    timeoutMs: 2000,
  });
  const children: Child[] = [];
  let clientCount = 0;
  const start = (path: string, file: string, log: string, env: Readonly<Record<string, string>> = {}): Child => {
    const child = startChild(path, ["-c", file], { logPath: join(directory, log), cwd: directory, env });
    children.push(child);
    return child;
  };
  const runFrps = (): Child => start(binaries.frps.path, configPath, `frps-${children.length}.log`);
  const startFrps = async (): Promise<void> => {
    world.frps = start(binaries.frps.path, configPath, "frps.log");
    const isUp = async () =>
      (await dashboard.isHealthy()) &&
      (await visit(vhostHttpPort, "nobody.test").then(
        () => true,
        () => false,
      ));
    await awaitFact("frps serves", isUp, { seen: () => world.describe() });
  };
  const runClient = (path: string, env?: Readonly<Record<string, string>>): Child =>
    start(binaries.frpc.path, path, `frpc-${children.length}.log`, env);
  const world: World = {
    directory,
    binaries,
    settings,
    hook,
    dashboard,
    frps: undefined as unknown as Child,
    startFrps,
    runFrps,
    runClient,
    startClient: async (client) => {
      clientCount += 1;
      const path = join(directory, `frpc-${clientCount}.toml`);
      await writeFile(path, renderClient(bindPort, client));
      return runClient(path, client.env);
    },
    visit: (host, path) => visit(vhostHttpPort, host, path),
    awaitVisit: (host, body) =>
      awaitFact(
        `${host} is answered with ${body}`,
        async () => {
          const found = await visit(vhostHttpPort, host);
          return found.status === 200 && found.body === body ? found : undefined;
        },
        { seen: () => world.describe() },
      ),
    kick: (runId, how) =>
      kick({ host: "127.0.0.1", port: bindPort, runId, metas: { nonce: "kick" }, timeoutMs: 5000, now: () => new Date(), ...how }),
    describe: () => `${children.map((child) => child.log()).join("\n---\n")}\n${hook.describe()}`,
    [Symbol.asyncDispose]: async () => {
      for (const child of [...children].reverse()) await child.stop();
      await hook[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await startFrps();
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
  return world;
}

function renderClient(serverPort: number, client: ClientOptions): string {
  return renderToml({
    serverAddr: "127.0.0.1",
    serverPort,
    loginFailExit: false,
    log: { disablePrintColor: true },
    ...client.extra,
    proxies: client.proxies ?? [{ name: client.name, type: "http", localPort: client.localPort, subdomain: client.subdomain }],
  });
}
