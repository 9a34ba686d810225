/**
 * The app with everything it needs, for tests: a store in memory, core's real verification, a clock that is turned by
 * hand, and a log that is kept. Nothing in production imports this file.
 */
import {
  deriveLabel,
  type Label,
  mintTunnelToken,
  type ProofPurpose,
  parseStellarJwt,
  printIdentity,
  printRevokeMessage,
  printTunnelMessage,
  publicKeyOfSeed,
  type Standing,
  signEd25519,
  signStellarMessage,
  type TunnelStatus,
  verifyProof,
} from "@keyhole/core";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { createTokenApp, type TokenApp } from "./app.ts";
import { createStoreForTests, type StoreForTests } from "./store-for-tests.ts";
import type { TokenAppDeps, TokenAppSettings } from "./token-app-deps.ts";
import { mintTunnelJwt } from "./tunnel-jwt-mint.ts";

const productName = "Vana Personal Server";
/** The server's account: RFC 8032's first test key. */
const serverSeed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");

/** What a wallet sends. */
type SignedBody = { walletAddress: string; timestamp: number; signature: string };

/** A Stellar account that can sign. */
type StellarWalletForTests = {
  readonly account: string;
  readonly label: Label;
  sign(timestamp?: number, purpose?: ProofPurpose): SignedBody;
  /** A Stellar JWT, good as it is; `over` replaces or adds claims. */
  signJwt(over?: Record<string, unknown>, header?: Record<string, unknown>): string;
};

/** An app, the levers behind it, and a wallet that can sign for it. */
export type AppForTests = {
  readonly app: TokenApp;
  readonly store: StoreForTests;
  readonly lines: { level: string; fields: Record<string, unknown>; message: string }[];
  readonly address: `0x${string}`;
  readonly label: Label;
  readonly stellar: StellarWalletForTests;
  /** What was refused, and whose it was where that was proved. */
  readonly refused: { readonly code: string; readonly label: Label | undefined }[];
  /** Whose revocations were told to the plugin. */
  readonly told: Label[];
  /** The plugin's answer to them. */
  plugin: "enforced" | "pending";
  /** What operators have decided about every wallet. */
  standing: Standing;
  /** The keys that mint: the first does, all of these can mint again. */
  keyIds: string[];
  now: Date;
  nowSeconds(): number;
  /** A whole, good request body for this timestamp. */
  sign(timestamp?: number, walletAddress?: string, purpose?: ProofPurpose): Promise<SignedBody>;
  post(body: unknown, headers?: Record<string, string>, query?: string): Promise<Response>;
  revoke(body: unknown, headers?: Record<string, string>, query?: string): Promise<Response>;
  /** A request with a JWT; the body is empty unless there is one. */
  postJwt(jwt: string, body?: unknown, query?: string): Promise<Response>;
};

/** What a test may replace: single capabilities, and single settings. */
export type AppOverrides = Partial<Omit<TokenAppDeps, "settings">> & { readonly settings?: Partial<TokenAppSettings> };

/** Makes one. */
export function createAppForTests({ settings, ...over }: AppOverrides = {}): AppForTests {
  const account = privateKeyToAccount(generatePrivateKey());
  const serverAddress = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(serverSeed) });
  const store = createStoreForTests();
  const lines: AppForTests["lines"] = [];
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, fields: { ...fields }, message });
  let requests = 0;
  const disconnected: TunnelStatus = {
    status: "disconnected",
    state: "offline",
    lastSeen: null,
    reason: "NEVER_SEEN",
    asOf: new Date(0),
    stale: false,
  };
  const print = { token: printTunnelMessage, revoke: printRevokeMessage };
  const request = (path: string, body: unknown, headers: Record<string, string>) =>
    world.app.request(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
    });
  const world: AppForTests = {
    store,
    lines,
    address: account.address,
    label: account.address.toLowerCase() as Label,
    told: [],
    refused: [],
    plugin: "enforced",
    standing: { revocation: undefined, block: undefined },
    keyIds: ["key-1"],
    now: new Date("2026-02-04T10:30:15.700Z"),
    nowSeconds: () => Math.floor(world.now.getTime() / 1000),
    sign: async (timestamp = world.nowSeconds(), walletAddress = account.address, purpose = "token") => {
      const message = print[purpose]({ walletAddress, timestamp }, productName);
      return { walletAddress, timestamp, signature: await account.signMessage({ message }) };
    },
    stellar: createStellarWallet(
      () => world.nowSeconds(),
      serverAddress,
      (order, purpose) => print[purpose](order, productName),
    ),
    post: async (body, headers = {}, query = "") => request(`/v1/tunnel/token${query}`, body, headers),
    revoke: async (body, headers = {}, query = "") => request(`/v1/tunnel/revoke${query}`, body, headers),
    postJwt: async (jwt, body, query = "") => {
      const headers = { authorization: `Bearer ${jwt}` };
      if (body !== undefined) return request(`/v1/tunnel/token${query}`, body, headers);
      return world.app.request(`/v1/tunnel/token${query}`, { method: "POST", headers });
    },
    app: createTokenApp({
      verifyProof: (order, purpose) => verifyProof(order, { productName, purpose }),
      checkStellarJwt: (jwt) => {
        const parsed = parseStellarJwt(jwt, { audience: serverAddress, now: world.now });
        return parsed.granted ? parsed.value.check() : parsed;
      },
      store,
      mintingKeyId: () => world.keyIds[0] ?? "none",
      mint: async (token, keyId) => {
        if (!world.keyIds.includes(keyId)) throw new Error(`key ${keyId} is gone`);
        const seed = Buffer.alloc(32, keyId);
        return token.kind === "jwt"
          ? mintTunnelJwt(token, { id: keyId, seed }, "tunnel.localhost")
          : mintTunnelToken(token, { id: keyId, secret: seed });
      },
      jwks: async () => ({ keys: [{ kty: "OKP", crv: "Ed25519", x: "AA", kid: "key-1", alg: "EdDSA", use: "sig" }] }),
      readStanding: async () => world.standing,
      tellRevoked: async (label) => {
        world.told.push(label);
        return world.plugin;
      },
      readStatus: async () => disconnected,
      readiness: async () => ({ store: { ok: true } }),
      renderClientConfig: (grant, { fileName, localPort, caPath, tokenFile }) =>
        `# ${fileName} ${localPort} ${caPath ?? "-"} ${tokenFile ?? "-"} ${grant.subdomain}\n`,
      caPem: () => "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
      noteRefusal: (code, label) => void world.refused.push({ code, label }),
      now: () => world.now,
      newRequestId: () => {
        requests += 1;
        return `request-${String(requests).padStart(4, "0")}`;
      },
      log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
      ...over,
      settings: {
        productName,
        ttlSeconds: 86_400,
        timestampWindowSeconds: 300,
        tunnelUrl: (label) => `http://${label}.tunnel.localhost:7080`,
        serverAddr: "127.0.0.1",
        serverPort: 7000,
        serverName: "control.tunnel.localhost",
        version: "0.1.0",
        stellarAddress: serverAddress,
        domain: "tunnel.localhost",
        edgePassword: "the edge's own",
        trustedProxies: [],
        limits: { requestsPerMinute: 60, tokensPerMinute: 10, failedProofsPerMinute: 20, inFlight: 256 },
        ...settings,
      },
    }),
  };
  return world;
}

function createStellarWallet(
  nowSeconds: () => number,
  serverAddress: string,
  print: (order: { walletAddress: string; timestamp: number }, purpose: ProofPurpose) => string,
): StellarWalletForTests {
  const seed = Buffer.from(generatePrivateKey().slice(2), "hex");
  const identity = { namespace: "stellar", publicKey: publicKeyOfSeed(seed) } as const;
  const account = printIdentity(identity);
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return {
    account,
    label: deriveLabel(identity),
    sign: (timestamp = nowSeconds(), purpose = "token") => {
      const signature = signStellarMessage(print({ walletAddress: account, timestamp }, purpose), seed);
      return { walletAddress: account, timestamp, signature };
    },
    signJwt: (over = {}, header = {}) => {
      const iat = nowSeconds();
      const claims = { iss: "hvym_tunnler", sub: account, aud: serverAddress, iat, services: ["pintheon"], exp: iat + 3600, ...over };
      const text = `${encode({ alg: "EdDSA", typ: "JWT", kid: account, ...header })}.${encode(claims)}`;
      return `${text}.${Buffer.from(signEd25519(Buffer.from(text, "ascii"), seed)).toString("base64url")}`;
    },
  };
}
