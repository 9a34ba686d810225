/**
 * The plugin alone, as `keyhole plugin` runs it: its real stores (tokens.db read beside its writer, sessions.db written), in
 * front of a frps that is only imagined. Labels with a bought token each, and the Login calls that frps would send for
 * them. The log is rendered and dropped: what writing it costs is not measured.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { type Door, type KeyRing, mintTunnelToken, parseLabel } from "@keyhole/core";
import { deriveLoginKey } from "@keyhole/frp";
import { startPlugin } from "@keyhole/plugin";
import { openSessionStore, openTokenReader, openTokenStore } from "@keyhole/store";

/** What it is told. */
export type HookOrder = { readonly dir: string; readonly logins: number };
/** One Login, with a genuine token and with the same token but for its last digit. */
type PreparedLogin = { readonly genuine: string; readonly forged: string };
/** What it tells when it is ready. */
export type HookTold = { readonly port: number; readonly authorization: string; readonly logins: readonly PreparedLogin[] };

const order = workerData as HookOrder;
const user = "frps";
const password = randomBytes(16).toString("hex");
const ring: KeyRing = { keys: [{ id: "1", secret: randomBytes(32) }] };
const ttlSeconds = 3600;
/** The store refuses more than it can write; a wave is one transaction or a few. */
const batch = 1000;
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
  cut: async () => true,
  connectionOf: async () => ({ id: "1-1", source: "127.0.0.1:1" }),
  claim: async () => {},
  release: async () => {},
  keepOnly: async () => {},
  claimedBy: async () => undefined,
};
const bought = await openTokenStore({ path: join(order.dir, "tokens.db"), log });
const tokens = await openTokenReader({ path: join(order.dir, "tokens.db") });
const sessions = await openSessionStore({ path: join(order.dir, "sessions.db"), log });
const plugin = await startPlugin({
  domain: "tunnel.localhost",
  scheme: "http",
  marker: "x-keyhole-app",
  hook: { host: "127.0.0.1", port: 0, user, password },
  tokens,
  sessions,
  door,
  tokenKeys: () => ring,
  ticketKeys: () => ring,
  ttlSeconds,
  sendKick: async () => {},
  readFrps: async () => "gone",
  reconcileMs: 3_600_000,
  now: () => new Date(),
  randomBytes,
  log,
});

async function prepareLogin(index: number): Promise<PreparedLogin> {
  const label = parseLabel(`0x${randomBytes(20).toString("hex")}`);
  if (label === undefined) throw new Error("a label of forty hexadecimal digits is one");
  const now = new Date();
  const outcome = await bought.orderToken({ label, kind: "hmac", proofKey: `bench:${index}`, proofEndsAt: now, now, ttlSeconds });
  if (outcome.outcome !== "recorded") throw new Error(`no token: ${outcome.outcome}`);
  const timestamp = Math.floor(now.getTime() / 1000);
  const token = mintTunnelToken(outcome.token, ring);
  const render = (presented: string): string => {
    const content = {
      version: "0.71.0",
      hostname: "desktop",
      os: "linux",
      arch: "amd64",
      user: label,
      privilege_key: deriveLoginKey("", timestamp),
      timestamp,
      run_id: "",
      metas: { token: presented },
      client_spec: {},
      pool_count: 1,
      client_address: `127.0.0.1:${20_000 + (index % 40_000)}`,
    };
    return JSON.stringify({ version: "0.1.0", op: "Login", content });
  };
  return { genuine: render(token), forged: render(token.slice(0, -1) + (token.endsWith("0") ? "1" : "0")) };
}

const logins: PreparedLogin[] = [];
while (logins.length < order.logins) {
  const length = Math.min(batch, order.logins - logins.length);
  logins.push(...(await Promise.all(Array.from({ length }, (_, index) => prepareLogin(logins.length + index)))));
}
const told: HookTold = {
  port: plugin.hookPort,
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
  logins,
};
parentPort?.postMessage(told);
