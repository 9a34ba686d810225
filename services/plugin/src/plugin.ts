/**
 * The plugin, composed: the hook's listener, the session authority and its upkeep. What it needs of the world comes in;
 * what the others may ask of it goes out.
 */
import type { Door, ReadKeyRing, ReadTunnelStatus, SessionStore, TokenReader } from "@keyhole/core";
import type { HookRequest } from "@keyhole/frp";
import { startHookServer } from "./hook-server.ts";
import { createMaskCounter } from "./host-mask.ts";
import { createKicks, type SendKick } from "./kicks.ts";
import type { Log } from "./log.ts";
import { answerCloseProxy } from "./operations/close-proxy.ts";
import { answerLogin } from "./operations/login.ts";
import { answerNewProxy, kickAfterAnswer } from "./operations/new-proxy.ts";
import { createSessionAuthority } from "./session-authority.ts";
import { createSessionRegistry } from "./session-registry.ts";
import { createTunnelStatus } from "./tunnel-status.ts";
import { createUpkeep, type ReadFrps, startUpkeep } from "./upkeep.ts";

/** What the plugin needs. */
export type PluginDeps = {
  /** Labels live directly below it; lower case. */
  readonly domain: string;
  /** Of the public URL: what apps are told in `X-Forwarded-Proto`. */
  readonly scheme: "http" | "https";
  /** The response header that only answers of a proxied app carry; lower case. */
  readonly marker: string;
  readonly hook: { readonly host: string; readonly port: number; readonly user: string; readonly password: string };
  readonly tokens: TokenReader;
  readonly sessions: SessionStore;
  readonly door: Door;
  readonly tokenKeys: ReadKeyRing;
  readonly ticketKeys: ReadKeyRing;
  readonly ttlSeconds: number;
  readonly sendKick: SendKick;
  readonly readFrps: ReadFrps;
  readonly reconcileMs?: number;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: Log;
};

/** Figures for metrics: no label, no address. */
export type PluginStats = { readonly sessions: number; readonly connected: number; readonly hookCalls: ReadonlyMap<string, number> };

/** A running plugin. */
export type Plugin = AsyncDisposable & {
  readonly hookPort: number;
  readonly readStatus: ReadTunnelStatus;
  /** Compares with the dashboard now. Resolves to false when it could not be read. */
  reconcile(): Promise<boolean>;
  stats(): PluginStats;
};

/** Starts answering the hook. The first look at the dashboard is the caller's to ask for (`reconcile`), once frps runs. */
export async function startPlugin(deps: PluginDeps): Promise<Plugin> {
  const { now, log, door, sessions } = deps;
  const registry = createSessionRegistry();
  const kicks = createKicks({ send: deps.sendKick, randomBytes: deps.randomBytes });
  const blocked = await sessions.blockedLabels();
  const authority = createSessionAuthority({ ...deps, registry, kicks, blocked });
  const upkeep = createUpkeep({ ...deps, registry, authority, kicks, blocked });
  const nextMask = createMaskCounter(now().getTime());
  const hookCalls = new Map<string, number>();

  const answer = (request: HookRequest, requestId: string) => {
    switch (request.op) {
      case "Login":
        return answerLogin(request.content, requestId, {
          authority,
          kicks,
          tokenKeys: deps.tokenKeys,
          connectionOf: door.connectionOf,
          log,
        });
      case "NewProxy":
        return answerNewProxy(request.content, requestId, { ...deps, registry, authority, kicks, nextMask });
      case "CloseProxy":
        return Promise.resolve(answerCloseProxy(request.content, { registry, authority }));
    }
  };

  const server = await startHookServer({
    ...deps.hook,
    answer,
    refuseUnexpected: (request) => {
      if (request?.op === "NewProxy") kickAfterAnswer(request.content.user.runId, { kicks, log });
    },
    count: (op, result) => {
      const key = `${op} ${result}`;
      hookCalls.set(key, (hookCalls.get(key) ?? 0) + 1);
    },
    log,
  });
  const running = startUpkeep(upkeep, { reconcileMs: deps.reconcileMs ?? 2000, log });

  return {
    hookPort: server.port,
    readStatus: createTunnelStatus({ registry, sessions, reconciledAt: () => upkeep.reconciledAt, now }),
    reconcile: () => upkeep.reconcile(),
    stats: () => ({
      sessions: registry.size,
      connected: [...registry.all()].filter((session) => session.connectedAt !== undefined).length,
      hookCalls,
    }),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
