/**
 * The plugin alone, as `keyhole plugin` runs it: its real stores (tokens.db read beside its writer, sessions.db written), in
 * front of a frps that is only imagined, with limits that nobody meets. And the Login calls that frps would send to it.
 * The log is rendered and dropped: what writing it costs is not measured.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { type Door, type KeyRing, printIdentity, publicKeyOfSeed } from "@keyhole/core";
import { startPlugin } from "@keyhole/plugin";
import { openSessionStore, openTokenReader, openTokenStore } from "@keyhole/store";
import { type LoginKind, type PreparedLogin, prepareLogins } from "./hook-logins.ts";
import { answerThreadQuestions } from "./thread-figures.ts";

/** What it is told: an empty folder, and how many Logins of which kinds to prepare. */
export type HookOrder = { readonly dir: string; readonly logins: Readonly<Partial<Record<LoginKind, number>>> };
/** What it tells when it is ready. */
export type HookTold = {
  readonly port: number;
  readonly authorization: string;
  readonly logins: Readonly<Partial<Record<LoginKind, readonly PreparedLogin[]>>>;
};

const order = workerData as HookOrder;
const user = "frps";
const password = randomBytes(16).toString("hex");
const domain = "tunnel.localhost";
const audience = "https://tunnel.vana.org";
const macKey = { id: "1", secret: randomBytes(32) };
const ring: KeyRing = { keys: [macKey] };
const signingKey = { id: `${Date.now()}-${randomBytes(4).toString("hex")}`, seed: randomBytes(32) };
const verifyKeys = [{ id: signingKey.id, publicKey: publicKeyOfSeed(signingKey.seed) }];
const stellarAddress = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(randomBytes(32)) });
const ttlSeconds = 3600;
const log = Object.fromEntries(
  ["debug", "info", "warn", "error"].map((level) => [
    level,
    (fields: object, message: string) => void JSON.stringify({ level, ...fields, message }),
  ]),
) as Record<"debug" | "info" | "warn" | "error", (fields: object, message: string) => void>;
const door: Door = {
  put: async () => {},
  delete: async () => {},
  replaceAll: async () => {},
  handOver: async () => {},
  block: async () => {},
  unblock: async () => {},
  blockNetwork: async () => {},
  unblockNetwork: async () => {},
  cut: async () => true,
  connectionOf: async () => ({ id: "1-1", source: "127.0.0.1:1" }),
  claim: async () => {},
  release: async () => {},
  keepOnly: async () => {},
  claimedBy: async () => undefined,
  readEvidence: async () => ({ cursor: "", evidence: [], isMore: false }),
};
const bought = await openTokenStore({ path: join(order.dir, "tokens.db"), log });
const tokens = await openTokenReader({ path: join(order.dir, "tokens.db") });
const sessions = await openSessionStore({ path: join(order.dir, "sessions.db"), log });
const plugin = await startPlugin({
  domain,
  tunnelUrl: (label) => `http://${label}.${domain}`,
  scheme: "http",
  marker: "x-keyhole-app",
  hook: { host: "127.0.0.1", port: 0, user, password },
  tokens,
  sessions,
  door,
  tokenKeys: () => ring,
  ticketKeys: () => ring,
  verifyKeys: () => verifyKeys,
  stellarAddress: () => stellarAddress,
  vana: { audience, requireRegistration: false, gatewayUrl: undefined },
  limits: {
    loginsPerIdentityPerMinute: 1_000_000,
    proxiesPerIdentityPerMinute: 1_000_000,
    loginsInFlight: 1_000_000,
    failedProofsPerMinute: 1_000_000,
  },
  ttlSeconds,
  sendKick: async () => {},
  readFrps: async () => "gone",
  reconcileMs: 3_600_000,
  monotonicMs: () => performance.now(),
  now: () => new Date(),
  randomBytes,
  log,
});

const material = { domain, tokens: bought, ttlSeconds, macKey, signingKey, stellarAddress, audience };
const logins: Partial<Record<LoginKind, PreparedLogin[]>> = {};
for (const [kind, count] of Object.entries(order.logins) as [LoginKind, number][])
  logins[kind] = await prepareLogins(kind, count, material);
answerThreadQuestions();
const told: HookTold = {
  port: plugin.hookPort,
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
  logins,
};
parentPort?.postMessage(told);
