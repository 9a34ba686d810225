/**
 * The plugin, composed: the hook's listener, the session authority and its upkeep. What it needs of the world comes in;
 * what the others may ask of it goes out.
 */
import type {
  Block,
  CredentialKind,
  Door,
  Label,
  ReadKeyRing,
  ReadTunnelStatus,
  ReadVerifyKeys,
  RefusalCode,
  SessionStore,
  TokenReader,
} from "@keyhole/core";
import type { HookRequest } from "@keyhole/frp";
import { createAdoption } from "./adoption.ts";
import type { TimeLeft } from "./answer-time.ts";
import { createBlocks } from "./blocks.ts";
import type { BreakerState } from "./circuit-breaker.ts";
import { createEdgeWatch } from "./edge-watch.ts";
import { createEventNotes } from "./event-notes.ts";
import { createEvictionWatch } from "./eviction-watch.ts";
import type { ReadFrps } from "./frps-view.ts";
import { createGateway } from "./gateway.ts";
import { createHandOver } from "./hand-over.ts";
import { type CallIds, startHookServer } from "./hook-server.ts";
import { createMaskCounter } from "./host-mask.ts";
import { createKicks, type SendKick } from "./kicks.ts";
import { createKnownGenerations } from "./known-generations.ts";
import type { Log } from "./log.ts";
import { createLoginLimits, type LimitSettings } from "./login-limits.ts";
import { createNotBefores } from "./not-befores.ts";
import { answerCloseProxy } from "./operations/close-proxy.ts";
import { createLogin } from "./operations/login.ts";
import { answerNewProxy, kickAfterAnswer } from "./operations/new-proxy.ts";
import { createOperatorOrders, type OperatorOrders } from "./operator-orders.ts";
import { createPluginRecorder, type PluginFigures } from "./plugin-figures.ts";
import { createRandomPool } from "./random-pool.ts";
import { createRefusalAnswers } from "./refusal-answers.ts";
import { createRevocations } from "./revocations.ts";
import { createSessionAuthority } from "./session-authority.ts";
import { createSessionConnections } from "./session-connections.ts";
import { createSessionEndings } from "./session-endings.ts";
import { createSessionRecords } from "./session-records.ts";
import { createSessionRegistry } from "./session-registry.ts";
import { type SessionView, viewSession } from "./session-view.ts";
import { createTunnelStatus } from "./tunnel-status.ts";
import { createUpkeep } from "./upkeep.ts";
import { startUpkeep } from "./upkeep-timers.ts";

/** What the plugin needs. */
export type PluginDeps = {
  /** Labels live directly below it; lower case. */
  readonly domain: string;
  /** Where visitors find a label. */
  readonly tunnelUrl: (label: Label) => string;
  /** Of the public URL: what apps are told in `X-Forwarded-Proto`. */
  readonly scheme: "http" | "https";
  /** The response header that only answers of a proxied app carry; lower case. */
  readonly marker: string;
  /** `fd`: a listening socket that somebody else holds, in place of host and port. */
  readonly hook: { readonly host: string; readonly port: number; readonly fd?: number; readonly user: string; readonly password: string };
  readonly tokens: TokenReader;
  readonly sessions: SessionStore;
  readonly door: Door;
  readonly tokenKeys: ReadKeyRing;
  readonly ticketKeys: ReadKeyRing;
  /** Public keys of tunnel tokens in their JWT form. */
  readonly verifyKeys: ReadVerifyKeys;
  /** The account that Stellar JWTs are made for; undefined while the token service has not said it yet. */
  readonly stellarAddress: () => string | undefined;
  /** What Vana claims are made for, and which registry of servers is asked about them. */
  readonly vana: { readonly audience: string; readonly requireRegistration: boolean; readonly gatewayUrl: string | undefined };
  readonly limits: LimitSettings;
  readonly ttlSeconds: number;
  readonly sendKick: SendKick;
  /** Told of every refusal: whoever remembers them samples. The label is there where it was proved. */
  readonly noteRefusal?: (code: RefusalCode, label: Label | undefined) => void;
  readonly readFrps: ReadFrps;
  readonly reconcileMs?: number;
  readonly now: () => Date;
  /** Milliseconds from some moment on; never backwards. */
  readonly monotonicMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: Log;
};

/** Figures for metrics and for `keyhole status`: no label, no address. */
export type PluginStats = {
  readonly sessions: number;
  readonly connected: number;
  readonly figures: PluginFigures;
  /** How often each refusal was said. */
  readonly refusals: ReadonlyMap<RefusalCode, number>;
  /** Whether the registry of servers is asked: not while it fails; undefined when there is none. */
  readonly gateway: BreakerState | undefined;
  /** When frps's dashboard was last read. */
  readonly reconciledAt: Date | undefined;
  /** False when nobody listened on frps's dashboard port at the last look: then nobody is connected. */
  readonly isFrpsThere: boolean;
  /** What frps served when this process began is known; until then nobody is let in. */
  readonly isAdopted: boolean;
};

/** A running plugin. */
export type Plugin = AsyncDisposable & {
  readonly hookPort: number;
  readonly readStatus: ReadTunnelStatus;
  /** Compares with the dashboard now, and asks the edge what it has seen. Resolves to false when the dashboard could not be read. */
  reconcile(): Promise<boolean>;
  /** Tells the edge everything that is known: for an edge that has just started. Nothing before the first adoption, which tells it anyhow. */
  pushAll(): Promise<void>;
  /**
   * Evicts whatever the revocations that are committed now forbid. Resolves when the edge refuses new requests of those labels;
   * rejects when that cannot be said: it is tried again every second.
   */
  enforceRevocations(): Promise<void>;
  /**
   * Evicts every session of these kinds, for a key of theirs that must not be trusted any more: good clients come back by a
   * Login. Resolves when the edge was told, with how many they were; rejects while it is not known who is served.
   */
  endSessionsOf(kinds: readonly CredentialKind[]): Promise<number>;
  /** What an operator may order. */
  readonly operator: OperatorOrders;
  /** Blocks in force, the newest first. */
  blocks(): readonly Block[];
  /** Every living session; without their tickets. */
  sessions(): readonly SessionView[];
  stats(): PluginStats;
};

/**
 * Starts answering the hook, and looks at frps's dashboard at once: who is served already is adopted before anybody else is
 * let in. Throws when `sessions` cannot be read.
 */
export async function startPlugin(deps: PluginDeps): Promise<Plugin> {
  const { now, log, door, sessions } = deps;
  const registry = createSessionRegistry();
  const drawRandom = createRandomPool(deps.randomBytes);
  const kicks = createKicks({ send: deps.sendKick, drawRandom });
  const refusals = createRefusalAnswers(deps.noteRefusal);
  const recorder = createPluginRecorder(deps.monotonicMs);
  const limits = createLoginLimits(deps.limits, now);
  // Before anybody is judged: what is committed later is enforced, what was committed earlier is read with each decision.
  const sequence = await readSequence(deps.tokens, log);
  const blocks = createBlocks({ stored: await sessions.blocks(), sessions, now, log });
  const notBefores = createNotBefores(await sessions.operatorRevocations());
  const known = createKnownGenerations(sessions, await sessions.highestGenerationOfAll());
  const records = createSessionRecords(deps);
  const connections = createSessionConnections({ door, log });
  const handOver = createHandOver({ registry, door, kicks, connections, records, log });
  const notes = createEventNotes(deps);
  const evictions = createEvictionWatch({ ...deps, registry, notes, recorder });
  const endings = createSessionEndings({ ...deps, registry, handOver, connections, records, evictions, notes, recorder });
  const parts = { registry, handOver, endings, connections, records, recorder, known, notBefores, blocks, notes, drawRandom };
  const authority = createSessionAuthority({ ...deps, ...parts });
  const kick = (runId: string, why: string): void => {
    log.info({ event: "control.kicked", why }, "a client without a session is being kicked");
    void kicks.kick(runId, 5000).catch((cause: unknown) => log.warn({ cause: String(cause) }, "a kick failed"));
  };
  const adoption = createAdoption({ registry, authority, leave: (label) => records.leave(label, "ended"), kick });
  const revocations = createRevocations({ sequence, tokens: deps.tokens, endings, adoption, notBefores, log });
  const operator = createOperatorOrders({ ...deps, registry, endings, adoption, notBefores, blocks });
  const upkeep = createUpkeep({ ...deps, registry, authority, endings, adoption, connections, kick, blocks, notes });
  const nextMask = createMaskCounter(now().getTime());
  const { audience, requireRegistration, gatewayUrl } = deps.vana;
  const gateway = gatewayUrl === undefined ? undefined : createGateway({ baseUrl: gatewayUrl, now, log });
  const answerLogin = createLogin({
    adoption,
    authority,
    kicks,
    credentials: { ...deps, audience },
    proof: { limits, gateway, requireRegistration, recorder },
    recorder,
    maxInFlight: deps.limits.loginsInFlight,
    connectionOf: door.connectionOf,
    refusals,
    log,
  });
  const newProxy = { ...deps, adoption, registry, authority, kicks, limits, refusals, nextMask };

  const answer = (request: HookRequest, ids: CallIds, left: TimeLeft) => {
    switch (request.op) {
      case "Login":
        return answerLogin(request.content, ids, left);
      case "NewProxy":
        return answerNewProxy(request.content, ids, newProxy);
      case "CloseProxy":
        return Promise.resolve(answerCloseProxy(request.content, { registry, authority }));
    }
  };

  const server = await startHookServer({
    ...deps.hook,
    answer,
    refusals,
    refuseUnexpected: (request) => {
      if (request?.op === "NewProxy") kickAfterAnswer(request.content.user.runId, { kicks, log });
    },
    recorder,
    newRequestId: () => drawRandom(8).toString("hex"),
    log,
  });
  const edgeWatch = createEdgeWatch({ door, registry, now, log });
  const running = startUpkeep({ upkeep, revocations, orders: operator, edgeWatch }, { reconcileMs: deps.reconcileMs ?? 2000, log });

  return {
    hookPort: server.port,
    readStatus: createTunnelStatus({ ...parts, sessions, adoption, upkeep, edgeWatch, isBlocked: blocks.isBlocked, now }),
    async reconcile() {
      const [isRead] = await Promise.all([upkeep.reconcile(), edgeWatch.ask()]);
      return isRead;
    },
    pushAll: () => upkeep.pushAll(),
    enforceRevocations: () => revocations.enforce(),
    async endSessionsOf(kinds) {
      if (!adoption.isDone) await upkeep.reconcile();
      if (!adoption.isDone) throw new Error("it is not known yet who is served");
      return await endings.evictKinds(kinds);
    },
    operator,
    blocks: () => blocks.all(),
    sessions: () => [...registry.all()].map(viewSession),
    stats: () => ({
      sessions: registry.size,
      connected: [...registry.all()].filter((session) => session.connectedAt !== undefined).length,
      figures: recorder.read(),
      refusals: refusals.counts,
      gateway: gateway?.state(),
      reconciledAt: upkeep.reconciledAt,
      isFrpsThere: upkeep.isFrpsThere,
      isAdopted: adoption.isDone,
    }),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      evictions.close();
      gateway?.close();
    },
  };
}

/** A store that cannot be read must not keep the plugin from starting: then every revocation is looked at once. */
async function readSequence(tokens: TokenReader, log: Log): Promise<number> {
  try {
    return await tokens.newestRevocation();
  } catch (cause) {
    log.warn({ cause: String(cause) }, "the newest revocation could not be read at start");
    return 0;
  }
}
