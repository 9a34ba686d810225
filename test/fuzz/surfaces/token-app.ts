/** The token service for the fuzzer: the real app with core's verification, a store that remembers spent proofs, and limits that never bite. */
import { createHmac, sign } from "node:crypto";
import { type Label, parseStellarJwt, type TokenRecord, type TokenStore, verifyProof } from "@keyhole/core";
import { createTokenApp, type TokenApp } from "@keyhole/token";
import type { FuzzWorld } from "../world.ts";

const manyTimes = 1_000_000_000;

/** Whoever sends it is believed to be the edge, and his `X-Forwarded-For` too. */
export const edgePassword = "edge-password-of-the-fuzzer";

/** Makes the app. */
export function createFuzzTokenApp(world: FuzzWorld): TokenApp {
  const { productName, domain, now } = world;
  let requests = 0;
  return createTokenApp({
    verifyProof: (order, purpose) => verifyProof(order, { productName, purpose }),
    checkStellarJwt: (jwt) => {
      const parsed = parseStellarJwt(jwt, { audience: world.stellarAddress, now });
      return parsed.granted ? parsed.value.check() : parsed;
    },
    store: createStore(world),
    mintingKeyId: (kind) => (kind === "hmac" ? world.ring.keys[0].id : (world.signingKeys[0]?.id ?? "")),
    mint: async (token) => mintToken(world, token),
    jwks: async () => ({ keys: [] }),
    readStanding: async () => ({ revocation: undefined, block: undefined }),
    tellRevoked: async () => "enforced",
    readStatus: async () => ({ status: "disconnected", state: "offline", lastSeen: null, reason: "NEVER_SEEN", asOf: now, stale: false }),
    readiness: async () => ({ store: { ok: true } }),
    renderClientConfig: (grant) => `# ${grant.subdomain}\n`,
    caPem: () => "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    noteRefusal: () => {},
    now: () => now,
    newRequestId: () => {
      requests += 1;
      return `request-${String(requests).padStart(8, "0")}`;
    },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    settings: {
      productName,
      ttlSeconds: world.ttlSeconds,
      timestampWindowSeconds: 300,
      tunnelUrl: (label) => `http://${label}.${domain}:7080`,
      serverAddr: "127.0.0.1",
      serverPort: 7000,
      serverName: `control.${domain}`,
      version: "0.1.0",
      stellarAddress: world.stellarAddress,
      domain,
      edgePassword,
      trustedProxies: [],
      limits: { requestsPerMinute: manyTimes, tokensPerMinute: manyTimes, failedProofsPerMinute: manyTimes, inFlight: manyTimes },
    },
  });
}

function mintToken(world: FuzzWorld, { label, kind, issuedAt, expiresAt }: TokenRecord): string {
  const [iat, exp] = [issuedAt.getTime() / 1000, expiresAt.getTime() / 1000];
  const encode = (text: string): string => Buffer.from(text).toString("base64url");
  if (kind === "hmac") {
    const body = `frp_${encode(label)}_${iat}_`;
    return body + createHmac("sha256", world.ring.keys[0].secret).update(body).digest("hex");
  }
  const [key] = world.signingKeys;
  if (key === undefined) throw new Error("the world has no signing key");
  const { domain } = world;
  const payload = { iss: domain, aud: domain, sub: label, subdomain: label, iat, exp };
  const text = `${encode(JSON.stringify({ alg: "EdDSA", typ: "keyhole-tunnel+jwt", kid: key.id }))}.${encode(JSON.stringify(payload))}`;
  return `${text}.${sign(null, Buffer.from(text), key.privateKey).toString("base64url")}`;
}

/** Spends proofs and keeps repeats for ever; the clock stands still, so nothing is ever too fast here. */
function createStore(world: FuzzWorld): TokenStore {
  const spent = new Set<string>();
  const repeats = new Map<string, { readonly requestHash: string; readonly token: TokenRecord }>();
  const spend = (proofKey: string): boolean => spent.size < spent.add(proofKey).size;
  const record = (label: Label, kind: TokenRecord["kind"]): TokenRecord => ({
    label,
    kind,
    issuedAt: world.now,
    expiresAt: new Date(world.now.getTime() + world.ttlSeconds * 1000),
  });
  return {
    findToken: async () => undefined,
    newestToken: async () => undefined,
    notBefore: async () => undefined,
    orderToken: async ({ label, kind, proofKey, keyId, repeat }) => {
      const former = repeat === undefined ? undefined : repeats.get(`${label} ${repeat.keyHash}`);
      if (former !== undefined && repeat !== undefined) {
        if (former.requestHash !== repeat.requestHash) return { outcome: "key-reused" };
        return { outcome: "repeated", token: former.token, keyId };
      }
      if (!spend(proofKey)) return { outcome: "proof-already-used" };
      const token = record(label, kind);
      if (repeat !== undefined) repeats.set(`${label} ${repeat.keyHash}`, { requestHash: repeat.requestHash, token });
      return { outcome: "recorded", token, keyId };
    },
    revoke: async ({ proofKey, now }) =>
      spend(proofKey) ? { outcome: "revoked", notBefore: new Date(now.getTime() + 1000) } : { outcome: "proof-already-used" },
    saveEvents: async () => {},
    check: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
