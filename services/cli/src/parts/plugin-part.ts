/** The plugin: answers frps's hook, owns the sessions, and drives the edge through its door. */
import type { SessionReader, TokenReader } from "@keyhole/core";
import { createDoor, type EdgeRuntime } from "@keyhole/edge";
import { createDashboard, FrpFault, kick } from "@keyhole/frp";
import { type Plugin, type ReadFrps, startPlugin } from "@keyhole/plugin";
import { openAuditedSessionStore } from "../audit/audited-stores.ts";
import { type ClockWatch, startClockWatch } from "../clock-watch.ts";
import { type CommitFigures, createCommitTimes } from "../commit-times.ts";
import { loopback } from "../listeners.ts";
import { openRates, type ReadRates, sumOf } from "../rates.ts";
import { readOr } from "../read-or.ts";
import { openKeyRing } from "../state/key-files.ts";
import { openVerifyKeys } from "../state/signing-keys.ts";
import { readStellarAddress } from "../state/stellar-server.ts";
import { dashboardUser, type Foundation, hookUser, marker } from "./foundation.ts";
import { testSignatures } from "./test-signatures.ts";

/** A running plugin. */
export type PluginPart = AsyncDisposable & {
  readonly plugin: Plugin;
  readonly sessions: SessionReader;
  readonly readRates: ReadRates<"logins" | "refusals">;
  readonly clock: Pick<ClockWatch, "behindMs">;
  checkStore(): Promise<void>;
  readCommits(): CommitFigures;
};

/** Starts it. `runtime` is the edge of this process or the far end of its socket; `tokens` the token service's store, or its file. */
export async function startPluginPart(
  foundation: Foundation,
  parts: { readonly runtime: EdgeRuntime; readonly tokens: TokenReader },
): Promise<PluginPart> {
  const { config, world, state, internal, portOf, component } = foundation;
  const { now, randomBytes } = world;
  const log = component("plugin");
  testSignatures(log);
  await using stack = new AsyncDisposableStack();
  const { timeCommit, read: readCommits } = createCommitTimes(world.monotonicMs);
  const { sessions, trail } = stack.use(await openAuditedSessionStore(foundation, timeCommit));
  const clock = stack.use(startClockWatch({ now, until: await readOr(undefined, () => sessions.watchedUntil()), log }));
  const dashboard = createDashboard({
    port: portOf("frps.dashboardPort"),
    user: dashboardUser,
    password: internal.dashboardPassword,
    timeoutMs: 1500,
  });
  const plugin = stack.use(
    await startPlugin({
      domain: config.domain,
      tunnelUrl: (label) => foundation.publicUrl.replace("{label}", label),
      scheme: foundation.publicScheme,
      marker,
      hook: { ...foundation.listenerOf("hook"), user: hookUser, password: internal.hookPassword },
      tokens: parts.tokens,
      sessions,
      door: createDoor({ mapsDir: state.folder("maps"), runtime: parts.runtime, now, log: component("edge") }),
      tokenKeys: openKeyRing({ state, purpose: "token-hmac", isShared: true, now, randomBytes, log }),
      ticketKeys: openKeyRing({ state, purpose: "ticket-hmac", isShared: false, now, randomBytes, log }),
      verifyKeys: openVerifyKeys({ state, now, log }),
      stellarAddress: readStellarAddress(state, now),
      vana: {
        audience: config["vana.audience"],
        requireRegistration: config["vana.requireRegistration"],
        gatewayUrl: config["vana.gatewayUrl"],
      },
      limits: {
        loginsPerIdentityPerMinute: config["limits.loginsPerIdentityPerMinute"],
        proxiesPerIdentityPerMinute: config["limits.proxiesPerIdentityPerMinute"],
        loginsInFlight: config["limits.loginsInFlight"],
        failedProofsPerMinute: config["limits.failedProofsPerMinute"],
      },
      ttlSeconds: config["token.ttlSeconds"],
      sendKick: ({ runId, metas, timeoutMs }) => kick({ host: loopback, port: portOf("frps.bindPort"), runId, metas, timeoutMs, now }),
      noteRefusal: trail.noteRefusal,
      readFrps: createReadFrps(dashboard),
      now,
      monotonicMs: world.monotonicMs,
      randomBytes,
      log,
    }),
  );
  const { read: readRates } = stack.use(
    openRates({
      logins: () => sumOf([...plugin.stats().figures.calls].filter(([call]) => call.startsWith("Login ")).map(([, count]) => count)),
      refusals: () => sumOf(plugin.stats().refusals.values()),
    }),
  );
  const running = stack.move();
  return {
    plugin,
    sessions,
    readRates,
    clock,
    checkStore: () => sessions.check(),
    readCommits,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
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
