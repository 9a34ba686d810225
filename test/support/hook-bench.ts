/**
 * The plugin as frps sees it: its real listener, real stores, and a frps that is only a recorded view. What a kick does is
 * the test's to say.
 */
import { randomBytes } from "node:crypto";
import { request as requestHttp } from "node:http";
import { join } from "node:path";
import {
  type Door,
  type EdgeEvidence,
  Fault,
  type KeyRing,
  type Label,
  mintTunnelToken,
  parseLabel,
  publicKeyOfSeed,
  readTicket,
  type SessionStore,
} from "@keyhole/core";
import { deriveLoginKey } from "@keyhole/frp";
import { type FrpsView, type LimitSettings, type Plugin, type PluginDeps, startPlugin } from "@keyhole/plugin";
import { openEventReader, openSessionStore, openTokenStore } from "@keyhole/store";
import { makeTunnelJwt } from "./credentials.ts";
import { createRecordingLog } from "./recording-log.ts";
import { openTemporaryDirectory } from "./temporary-directory.ts";
import { recordSecret, recordToken } from "./test-record.ts";
import { waitForFact } from "./wait-for-fact.ts";

/** What frps is answered. */
export type HookReply = {
  readonly status: number;
  readonly body: { reject?: boolean; reject_reason?: string; unchange?: boolean; content?: Record<string, unknown> };
  readonly text: string;
};

/** A client that has logged in: what frps would send for it from now on. */
export type BenchClient = {
  readonly label: Label;
  readonly ticket: string;
  readonly user: { user: string; metas: Record<string, string>; run_id: string };
};

/** Everything a test turns and sees. */
export type HookBench = AsyncDisposable & {
  /** Where the stores are. */
  readonly dir: string;
  /** The one that runs now. */
  readonly plugin: Plugin;
  /** Ends the plugin as a kill does (nothing is written, nobody is told) and starts another one, which sees frps as it is now. */
  restart(): Promise<void>;
  /** The plugin's rows reach the file; or not, as if it was killed before. */
  rows: "kept" | "lost";
  /** What the plugin meets when it reads tokens.db. */
  tokensFault: Error | undefined;
  /** What the plugin meets when it records an operator's order. */
  sessionsFault: Error | undefined;
  /** How long the edge takes to be told that a label is blocked. */
  onBlock: () => Promise<void>;
  /** What happens between the reading of a login's records and the decision. */
  onRead: () => Promise<void>;
  readonly tokens: Awaited<ReturnType<typeof openTokenStore>>;
  readonly sessions: SessionStore;
  /** What the plugin's chain of events holds by now: its name and its detail. */
  readEvents(): Promise<readonly (readonly [string, Record<string, unknown>])[]>;
  readonly log: { readonly lines: string[] };
  /** Every call of the door, in order: `put 0x…`, `cut 1.2.3.4:5`. */
  readonly doorCalls: string[];
  /** Connections that the edge keeps: the others it ends after a while. */
  readonly claimed: ReadonlySet<string>;
  /** Addresses whose connections have ended before the plugin hears of them. */
  readonly gone: Set<string>;
  /** Addresses about which the edge does not answer. */
  readonly silent: Set<string>;
  /** Addresses that log in too often, with how long they are to wait. */
  readonly limited: Map<string, number>;
  /** Where a client really is, by the address that frps knows; the same when nothing is said. */
  readonly sources: Map<string, string>;
  /** Run ids that were kicked, in order. */
  readonly kicked: string[];
  /** What frps's dashboard shows. */
  frps: FrpsView | "gone" | "broken";
  /** What the edge says that it has seen, whenever it is asked. */
  evidence: readonly EdgeEvidence[];
  isEdgeAway: boolean;
  /** How long a kick takes; a promise that never settles is a frozen frps. */
  onKick: (runId: string) => Promise<void>;
  /** How long the edge takes to be told that a label is live. */
  onPut: () => Promise<void>;
  /** How long the edge takes to be told that a label is not. */
  onDelete: () => Promise<void>;
  /** Our Stellar account, as the plugin knows it. */
  stellarAddress: string | undefined;
  /** The clock: moved by the test. */
  now: Date;
  readonly ring: KeyRing;
  buyToken(label: Label, options?: { readonly kind?: "hmac" | "jwt"; readonly isExclusive?: boolean }): Promise<string>;
  /** The wallet revokes everything that it has, as the token service writes it. */
  revoke(label: Label): Promise<void>;
  call(op: string, content: unknown): Promise<HookReply>;
  raw(options: {
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Record<string, string>;
    readonly body?: string | Buffer;
  }): Promise<HookReply>;
  login(label: Label, token: string, runId?: string, clientAddress?: string): Promise<BenchClient | string>;
  newProxy(client: BenchClient, fields?: Record<string, unknown>): Promise<HookReply>;
  closeProxy(client: BenchClient, name?: string): Promise<HookReply>;
};

export const domain = "tunnel.localhost";
export const alice = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
export const bob = parseLabel("0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359") as Label;
const hook = { user: "frps", password: recordSecret("a password between the parts", "hook-password-of-the-bench") };
const key = { id: "1", secret: new Uint8Array(32).fill(9) };
/** The key of tunnel tokens in their JWT form. */
export const jwtKey = { id: "1700000000000-0123abcd", seed: Buffer.alloc(32, 11) };
for (const each of [key.secret, jwtKey.seed]) recordSecret("a key of the state directory", Buffer.from(each).toString("base64url"));
/** Our Stellar account: the one that recorded JWTs were made for. */
export const stellarServer = "GBWH4G3VBBR6V6B3H64UFOFZSP7ZKKUJ5BQP32WD7YHPWHUUBTYVRN5Q";
/** Nobody meets them; a test of one sets it back. */
const wideLimits: LimitSettings = {
  loginsPerIdentityPerMinute: 1_000_000,
  proxiesPerIdentityPerMinute: 1_000_000,
  loginsInFlight: 100_000,
  failedProofsPerMinute: 1_000_000,
};

/** Starts the bench. `ttlSeconds` is what a bought token lives. */
export async function startHookBench(
  settings: {
    readonly ttlSeconds?: number;
    readonly frps?: HookBench["frps"];
    readonly limits?: Partial<LimitSettings>;
    readonly vana?: Partial<PluginDeps["vana"]>;
  } = {},
): Promise<HookBench> {
  const ttlSeconds = settings.ttlSeconds ?? 3600;
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(openTemporaryDirectory());
  const log = createRecordingLog();
  const tokens = stack.use(await openTokenStore({ path: join(path, "tokens.db"), log }));
  const sessions = stack.use(await openSessionStore({ path: join(path, "sessions.db"), log }));
  const events = stack.use(openEventReader({ path: join(path, "sessions.db"), writer: "sessions" }));
  const doorCalls: string[] = [];
  const kicked: string[] = [];
  const holders = new Map<string, string>();
  const claimed = new Set<string>();
  const gone = new Set<string>();
  const silent = new Set<string>();
  const limited = new Map<string, number>();
  const sources = new Map<string, string>();
  const ring: KeyRing = { keys: [key] };
  let proofs = 0;
  const door: Door = {
    put: async ({ label }) => {
      doorCalls.push(`put ${label}`);
      await bench.onPut();
    },
    delete: async (label, { reason }) => {
      doorCalls.push(`delete ${label} ${reason}`);
      await bench.onDelete();
    },
    replaceAll: async ({ live }) => {
      doorCalls.push(`replace ${live.map((entry) => entry.label).join(" ")}`);
    },
    handOver: async (label) => void doorCalls.push(`hand over ${label}`),
    block: async (label) => {
      doorCalls.push(`block ${label}`);
      await bench.onBlock();
    },
    unblock: async (label) => void doorCalls.push(`unblock ${label}`),
    blockNetwork: async (network) => void doorCalls.push(`block ${network}`),
    unblockNetwork: async (network) => void doorCalls.push(`unblock ${network}`),
    cut: async (connectionId) => {
      doorCalls.push(`cut ${connectionId}`);
      return true;
    },
    connectionOf: async (clientAddress) => {
      if (silent.has(clientAddress)) throw new Fault("EDGE_UNREACHABLE", "the edge did not answer");
      if (gone.has(clientAddress)) return undefined;
      const retryAfterSeconds = limited.get(clientAddress);
      const source = sources.get(clientAddress) ?? clientAddress;
      return { id: clientAddress, source, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
    },
    claim: async (connectionId, { holder }) => {
      holders.set(holder, connectionId);
      claimed.add(connectionId);
    },
    release: async (connectionId) => {
      claimed.delete(connectionId);
      for (const [holder, held] of holders) if (held === connectionId) holders.delete(holder);
    },
    keepOnly: async (kept) => {
      for (const [holder, held] of holders) if (!kept.has(holder)) await door.release(held);
    },
    claimedBy: async (holder) => holders.get(holder),
    readEvidence: async () => (bench.isEdgeAway ? undefined : { cursor: "", evidence: bench.evidence, isMore: false }),
  };
  const bench: Omit<HookBench, "plugin"> & { plugin: Plugin | undefined } = {
    dir: path,
    plugin: undefined,
    tokens,
    sessions,
    log,
    doorCalls,
    claimed,
    gone,
    silent,
    limited,
    sources,
    kicked,
    frps: settings.frps ?? { clients: [], proxies: [] },
    evidence: [],
    isEdgeAway: false,
    rows: "kept",
    tokensFault: undefined,
    async readEvents() {
      return (await events.after(0, 1000)).map(({ event, detail }) => [event, JSON.parse(detail) as Record<string, unknown>] as const);
    },
    sessionsFault: undefined,
    onBlock: async () => {},
    onRead: async () => {},
    onKick: async () => {},
    onPut: async () => {},
    onDelete: async () => {},
    stellarAddress: stellarServer,
    now: new Date("2026-11-22T12:00:00Z"),
    ring,
    async buyToken(label, { kind = "hmac", isExclusive = false } = {}) {
      proofs += 1;
      const order = {
        label,
        kind,
        proofKey: `token:${label}:${proofs}`,
        // Each is signed after the one before.
        provedAt: new Date(bench.now.getTime() + 1000 * proofs),
        proofEndsAt: bench.now,
        now: bench.now,
        ttlSeconds,
        keyId: key.id,
        isExclusive,
        repeat: undefined,
      };
      const outcome = await tokens.orderToken(order);
      if (outcome.outcome !== "recorded") throw new Error(`no token: ${outcome.outcome}`);
      if (kind === "hmac") return recordToken(mintTunnelToken(outcome.token, key));
      const seconds = (at: Date): number => at.getTime() / 1000;
      const { issuedAt, expiresAt } = outcome.token;
      return makeTunnelJwt({ label, issuedAt: seconds(issuedAt), endsAt: seconds(expiresAt), domain }, jwtKey);
    },
    async revoke(label) {
      proofs += 1;
      const outcome = await tokens.revoke({
        label,
        proofKey: `revoke:${label}:${proofs}`,
        provedAt: bench.now,
        proofEndsAt: bench.now,
        now: bench.now,
      });
      if (outcome.outcome !== "revoked") throw new Error(`not revoked: ${outcome.outcome}`);
    },
    async raw({ method = "POST", path: target = "/hook?op=Login&version=0.1.0", headers = {}, body = "" }) {
      const authorization = `Basic ${Buffer.from(`${hook.user}:${hook.password}`).toString("base64")}`;
      return await new Promise((resolve, reject) => {
        const request = requestHttp(
          { host: "127.0.0.1", port: bench.plugin?.hookPort, method, path: target, headers: { authorization, ...headers } },
          (response) => {
            let text = "";
            response.on("data", (chunk) => {
              text += String(chunk);
            });
            response.on("end", () => resolve({ status: response.statusCode ?? 0, text, body: parseOrEmpty(text) }));
          },
        );
        request.on("error", reject);
        request.end(body);
      });
    },
    async call(op, content) {
      const reply = await bench.raw({
        path: `/hook?op=${op}&version=0.1.0`,
        headers: { "content-type": "application/json", "x-frp-reqid": "0123456789abcdef" },
        body: JSON.stringify({ version: "0.1.0", op, content }),
      });
      if (op === "Login" && typeof reply.body.content?.["run_id"] === "string") recordSecret("a ticket", reply.body.content["run_id"]);
      return reply;
    },
    async login(label, token, runId = "", clientAddress = "127.0.0.1:40000") {
      const reply = await bench.call("Login", loginContent({ metas: { token }, run_id: runId, client_address: clientAddress }));
      const content = reply.body.content as { user: string; run_id: string; metas: Record<string, string> } | undefined;
      if (content === undefined) return reply.body.reject_reason ?? "";
      return { label, ticket: content.run_id, user: { user: content.user, metas: content.metas, run_id: content.run_id } };
    },
    newProxy: (client, fields = {}) =>
      bench.call("NewProxy", {
        user: client.user,
        proxy_name: `${client.label}.app`,
        proxy_type: "http",
        subdomain: client.label,
        ...fields,
      }),
    closeProxy: (client, name = `${client.label}.app`) => bench.call("CloseProxy", { user: client.user, proxy_name: name }),
    async restart() {
      await bench.plugin?.[Symbol.asyncDispose]();
      await start();
    },
    async [Symbol.asyncDispose]() {
      await bench.plugin?.[Symbol.asyncDispose]();
      await stack.disposeAsync();
    },
  };
  const never = new Promise<never>(() => {});
  const write = (work: () => Promise<void>): Promise<void> => (bench.rows === "kept" ? work() : never);
  const orFault = async <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    if (bench.sessionsFault !== undefined) throw bench.sessionsFault;
    return await work();
  };
  const countPushes = (): number => doorCalls.filter((call) => call.startsWith("replace ")).length;
  const start = async (): Promise<void> => {
    const pushes = countPushes();
    bench.plugin = await startPlugin({
      domain,
      tunnelUrl: (label) => `http://${label}.${domain}`,
      scheme: "http",
      marker: "x-keyhole-app",
      hook: { host: "127.0.0.1", port: 0, ...hook },
      tokens: {
        ...tokens,
        async readCredential(...asked) {
          if (bench.tokensFault !== undefined) throw bench.tokensFault;
          const read = await tokens.readCredential(...asked);
          await bench.onRead();
          return read;
        },
      },
      sessions: {
        ...sessions,
        saveSession: (row) => write(() => sessions.saveSession(row)),
        saveLastSeen: (label, at) => write(() => sessions.saveLastSeen(label, at)),
        saveWatched: (at) => write(() => sessions.saveWatched(at)),
        saveOperatorRevocation: (...order) => orFault(() => sessions.saveOperatorRevocation(...order)),
        saveBlock: (...order) => orFault(() => sessions.saveBlock(...order)),
        removeBlock: (...order) => orFault(() => sessions.removeBlock(...order)),
      },
      door,
      tokenKeys: () => ring,
      ticketKeys: () => ring,
      verifyKeys: () => [{ id: jwtKey.id, publicKey: publicKeyOfSeed(jwtKey.seed) }],
      stellarAddress: () => bench.stellarAddress,
      vana: { audience: "https://tunnel.vana.org", requireRegistration: false, gatewayUrl: undefined, ...settings.vana },
      limits: { ...wideLimits, ...settings.limits },
      ttlSeconds,
      sendKick: async ({ runId, metas }) => {
        kicked.push(runId);
        await bench.onKick(runId);
        // frps asks the hook about the kick's own login, as about any other.
        const reply = await bench.call("Login", loginContent({ metas, run_id: runId }));
        if (reply.body.reject !== false) throw new Error(`the kick was refused: ${reply.text}`);
      },
      readFrps: async () => {
        if (bench.frps === "broken") throw new Error("the dashboard does not answer");
        return bench.frps;
      },
      reconcileMs: 3_600_000,
      now: () => bench.now,
      monotonicMs: () => performance.now(),
      randomBytes,
      log,
    });
    if (bench.frps === "broken") return;
    await waitForFact("the first look at frps, of which the edge is told", () => countPushes() > pushes || undefined);
  };
  await start();
  return bench as HookBench;
}

/** What a kick or a read takes, when frps or the disk is slow. */
export function taking(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  return promise;
}

/** The client of a login that must have been admitted. */
export function admitted(result: BenchClient | string): BenchClient {
  if (typeof result === "string") throw new Error(`refused: ${result}`);
  return result;
}

/** The code of a refusal, or "admitted". */
export function codeOf(result: BenchClient | string | HookReply): string {
  if (typeof result === "string") return result.split(":")[0] ?? "";
  if ("body" in result) return result.body.reject === true ? (result.body.reject_reason?.split(":")[0] ?? "") : "admitted";
  return "admitted";
}

/** A Login as stock frpc 0.71.0 sends it. */
export function loginContent(fields: Record<string, unknown> = {}): Record<string, unknown> {
  const timestamp = 1795309034;
  return {
    version: "0.71.0",
    hostname: "vm",
    os: "linux",
    arch: "amd64",
    privilege_key: deriveLoginKey("", timestamp),
    timestamp,
    client_spec: {},
    pool_count: 1,
    client_address: "127.0.0.1:43730",
    ...fields,
  };
}

/** Puts a client on the dashboard as frps would show it. */
export function showOnDashboard(clients: readonly BenchClient[]): FrpsView {
  return {
    clients: clients.map((client) => ({ runId: client.ticket, user: client.label, isOnline: true })),
    proxies: clients.map((client) => ({ name: `${client.label}.app`, clientId: client.ticket, isOnline: true })),
  };
}

export const ticketOf = (bench: HookBench, client: BenchClient) => readTicket(client.label, client.ticket, bench.ring);

function parseOrEmpty(text: string): HookReply["body"] {
  try {
    return JSON.parse(text) as HookReply["body"];
  } catch {
    return {};
  }
}
