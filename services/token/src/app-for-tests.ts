/**
 * The app with everything it needs, for tests: a store in memory, core's real verification, a clock that is turned by
 * hand, and a log that is kept. Nothing in production imports this file.
 */
import type { Label, TokenOrder, TokenRecord, TokenStore, TunnelStatus } from "@keyhole/core";
import { printTunnelMessage, verifyProof } from "@keyhole/core";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { createTokenApp, type TokenApp } from "./app.ts";
import type { TokenAppDeps } from "./token-app-deps.ts";

const productName = "Vana Personal Server";

/** Remembers tokens and spent proofs for the length of a test. */
function createMemoryStore(): TokenStore & { readonly orders: TokenOrder[]; readonly records: TokenRecord[] } {
  const orders: TokenOrder[] = [];
  const records: TokenRecord[] = [];
  const spent = new Set<string>();
  const newest = (label: Label) => records.filter((record) => record.label === label).at(-1);
  return {
    orders,
    records,
    findToken: async (label, kind, issuedAt) =>
      records.find((record) => record.label === label && record.kind === kind && record.issuedAt.getTime() === issuedAt.getTime()),
    newestToken: async (label) => newest(label),
    notBefore: async () => undefined,
    orderToken: async (order) => {
      orders.push(order);
      if (spent.has(order.proofKey)) return { outcome: "proof-already-used" };
      const nowSeconds = Math.floor(order.now.getTime() / 1000);
      const issuedSeconds = Math.max(nowSeconds, (newest(order.label)?.issuedAt.getTime() ?? 0) / 1000 + 1);
      if (issuedSeconds > nowSeconds + 2) return { outcome: "too-fast" };
      spent.add(order.proofKey);
      const expiresAt = new Date((issuedSeconds + order.ttlSeconds) * 1000);
      const token: TokenRecord = { label: order.label, kind: order.kind, issuedAt: new Date(issuedSeconds * 1000), expiresAt };
      records.push(token);
      return { outcome: "recorded", token };
    },
    check: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** An app, the levers behind it, and a wallet that can sign for it. */
export type AppForTests = {
  readonly app: TokenApp;
  readonly store: ReturnType<typeof createMemoryStore>;
  readonly lines: { level: string; fields: Record<string, unknown>; message: string }[];
  readonly address: `0x${string}`;
  now: Date;
  nowSeconds(): number;
  /** A whole, good request body for this timestamp. */
  sign(timestamp?: number, walletAddress?: string): Promise<{ walletAddress: string; timestamp: number; signature: string }>;
  post(body: unknown, headers?: Record<string, string>, query?: string): Promise<Response>;
};

/** Makes one; `over` replaces single capabilities. */
export function createAppForTests(over: Partial<TokenAppDeps> = {}): AppForTests {
  const account = privateKeyToAccount(generatePrivateKey());
  const store = createMemoryStore();
  const lines: AppForTests["lines"] = [];
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, fields: { ...fields }, message });
  let requests = 0;
  const disconnected: TunnelStatus = { status: "disconnected", lastSeen: null, asOf: new Date(0), stale: false };
  const world: AppForTests = {
    store,
    lines,
    address: account.address,
    now: new Date("2026-02-04T10:30:15.700Z"),
    nowSeconds: () => Math.floor(world.now.getTime() / 1000),
    sign: async (timestamp = world.nowSeconds(), walletAddress = account.address) => {
      const message = printTunnelMessage({ walletAddress, timestamp }, productName);
      return { walletAddress, timestamp, signature: await account.signMessage({ message }) };
    },
    post: async (body, headers = {}, query = "") =>
      world.app.request(`/v1/tunnel/token${query}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
      }),
    app: createTokenApp({
      verifyProof: (order) => verifyProof(order, { productName }),
      store,
      mint: (token) => `frp_test_${token.issuedAt.getTime() / 1000}_secret`,
      readStatus: async () => disconnected,
      readiness: async () => ({ store: { ok: true } }),
      renderClientConfig: (grant, options) => `# ${options.fileName} ${options.localPort} ${options.caPath ?? "-"} ${grant.subdomain}\n`,
      caPem: () => "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
      now: () => world.now,
      newRequestId: () => {
        requests += 1;
        return `request-${String(requests).padStart(4, "0")}`;
      },
      log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
      settings: {
        productName,
        ttlSeconds: 86_400,
        timestampWindowSeconds: 300,
        tunnelUrl: (label) => `http://${label}.tunnel.localhost:7080`,
        serverAddr: "127.0.0.1",
        serverPort: 7000,
        serverName: "control.tunnel.localhost",
        version: "0.1.0",
      },
      ...over,
    }),
  };
  return world;
}
