/** The token service: proofs in, tunnel tokens out. */
import {
  createTally,
  Fault,
  mintTunnelToken,
  parseStellarJwt,
  type ReadTunnelStatus,
  type ReadVerifyKeys,
  type RefusalCode,
  type SessionReader,
  type TokenStore,
  type Verdict,
  verifyProof,
} from "@keyhole/core";
import {
  type CanaryReport,
  createTokenApp,
  mintTunnelJwt,
  type ReadinessChecks,
  startTokenService,
  type TokenAppDeps,
  type TokenAppStats,
  type TokenService,
} from "@keyhole/token";
import type { AuditTrail } from "../audit/audit-trail.ts";
import { renderClientConfig } from "../client-config.ts";
import { openRates, type ReadRates, sumOf } from "../rates.ts";
import type { TellRevoked } from "../sockets/plugin-socket.ts";
import { openKeyRing } from "../state/key-files.ts";
import { openSigningKeys, openVerifyKeys } from "../state/signing-keys.ts";
import { openStellarServer } from "../state/stellar-server.ts";
import type { Foundation } from "./foundation.ts";
import { testSignatures } from "./test-signatures.ts";

/** A running token service. */
export type TokenPart = AsyncDisposable & {
  readonly service: TokenService;
  readonly readRates: ReadRates<"refusals">;
  stats(): TokenPartStats;
};

/** For metrics. `verifications`: `scheme result`, only where a signature was looked at. */
type TokenPartStats = TokenAppStats & { readonly verifications: ReadonlyMap<string, number> };

/** What it is given by the parts that it must not know. */
export type TokenPartDeps = {
  readonly tokens: TokenStore;
  readonly readStanding: SessionReader["standing"];
  /** Remembers who was refused. */
  readonly trail: Pick<AuditTrail, "noteRefusal">;
  readonly readStatus: ReadTunnelStatus;
  /** Called after a revocation is durable. */
  readonly tellRevoked: TellRevoked;
  /** What the others say about being ready. */
  readonly readiness: () => Promise<ReadinessChecks>;
  /** What the canary has found. */
  readonly readCanary: () => Promise<CanaryReport | undefined>;
  /** The CA that frpc must trust, as it is now. */
  readonly caPem: () => string;
};

/** Refusals for which a signature was looked at: the others cost nothing. */
const invalid: ReadonlySet<RefusalCode> = new Set(["SIGNATURE_INVALID", "SIGNER_MISMATCH"]);

/** Starts it. */
export async function startTokenPart(foundation: Foundation, deps: TokenPartDeps): Promise<TokenPart> {
  const { config, world, state, internal, portOf, component } = foundation;
  const { now, randomBytes, newRequestId } = world;
  const { tokens, trail, caPem } = deps;
  const log = component("token");
  testSignatures(log);
  const stellar = openStellarServer({ state, secretFile: config["stellar.serverSecretFile"], env: world.env, randomBytes });
  const settings = {
    productName: config["token.productName"],
    ttlSeconds: config["token.ttlSeconds"],
    timestampWindowSeconds: config["token.timestampWindowSeconds"],
    tunnelUrl: (label: string): string => foundation.publicUrl.replace("{label}", label),
    serverAddr: config["control.host"],
    serverPort: portOf("control.listen"),
    serverName: config["control.host"],
    version: world.version,
    stellarAddress: stellar.address,
    domain: config.domain,
    edgePassword: internal.edgePassword,
    trustedProxies: config["token.trustedProxies"],
    limits: {
      requestsPerMinute: config["limits.tokenRequestsPerMinute"],
      tokensPerMinute: config["limits.tokensPerMinute"],
      failedProofsPerMinute: config["limits.failedProofsPerMinute"],
      inFlight: config["limits.tokenRequestsInFlight"],
    },
  };
  const verifications = createTally();
  const verified = <Value>(scheme: string, verdict: Verdict<Value>): Verdict<Value> => {
    if (verdict.granted || invalid.has(verdict.refusal.code)) verifications.count(`${scheme} ${verdict.granted ? "valid" : "invalid"}`);
    return verdict;
  };
  const app = createTokenApp({
    verifyProof: (proof, purpose) =>
      verified(
        proof.walletAddress.startsWith("0x") ? "eip191" : "sep53",
        verifyProof(proof, { productName: settings.productName, purpose }),
      ),
    checkStellarJwt(jwt) {
      const parsed = parseStellarJwt(jwt, { audience: stellar.address, now: now() });
      return parsed.granted ? verified("stellar-jwt", parsed.value.check()) : parsed;
    },
    store: tokens,
    ...openMint(foundation),
    readStanding: deps.readStanding,
    tellRevoked: () => deps.tellRevoked(),
    readStatus: deps.readStatus,
    readCanary: deps.readCanary,
    readiness: async () => ({ store: await checkStore(() => tokens.check()), ...(await deps.readiness()) }),
    renderClientConfig: (grant, options) => renderClientConfig({ grant, serverName: settings.serverName, caPem: caPem(), ...options }),
    caPem,
    noteRefusal: trail.noteRefusal,
    now,
    newRequestId,
    log,
    settings,
  });
  const service = await startTokenService({ app, newRequestId, noteRefusal: trail.noteRefusal, log, ...foundation.listenerOf("token") });
  const rates = openRates({
    refusals: () => sumOf(Object.entries(app.stats().answers).map(([code, count]) => (code === "OK" ? 0 : count))),
  });
  return {
    service,
    readRates: rates.read,
    stats: () => ({ ...app.stats(), verifications: verifications.counts }),
    [Symbol.asyncDispose]: () => {
      rates[Symbol.dispose]();
      return service.stop();
    },
  };
}

/** Both kinds of tunnel token, each with the keys of its own. */
function openMint({ config, world, state, component }: Foundation): Pick<TokenAppDeps, "mintingKeyId" | "mint" | "jwks"> {
  const { now, randomBytes } = world;
  const log = component("token");
  const ring = openKeyRing({ state, purpose: "token-hmac", isShared: true, now, randomBytes, log });
  const signing = openSigningKeys({ state, now, randomBytes, log });
  const verifyKeys = openVerifyKeys({ state, now, log });
  return {
    mintingKeyId: (kind) => (kind === "jwt" ? signing.minting().id : ring().keys[0].id),
    async mint(token, keyId) {
      if (token.kind === "jwt") return await mintTunnelJwt(token, requireKey(signing.byId(keyId), keyId), config.domain);
      return mintTunnelToken(
        token,
        requireKey(
          ring().keys.find(({ id }) => id === keyId),
          keyId,
        ),
      );
    },
    jwks: async () => renderJwks(verifyKeys()),
  };
}

function requireKey<Key>(key: Key | undefined, keyId: string): Key {
  if (key !== undefined) return key;
  throw new Fault("KEY_UNKNOWN", `The key ${keyId} is gone, so nothing can be minted with it. See which there are: keyhole keys list`);
}

/** RFC 7517 and 8037: every key that verifies. */
const renderJwks = (keys: ReturnType<ReadVerifyKeys>): object => ({
  keys: keys.map(({ id, publicKey }) => ({
    kty: "OKP",
    crv: "Ed25519",
    x: Buffer.from(publicKey).toString("base64url"),
    kid: id,
    alg: "EdDSA",
    use: "sig",
  })),
});

/** A check of a store, as readiness tells it. */
export async function checkStore(check: () => Promise<void>): Promise<{ ok: boolean; detail?: string }> {
  try {
    await check();
    return { ok: true };
  } catch (cause) {
    return { ok: false, detail: cause instanceof Fault ? cause.code : "STORE_UNAVAILABLE" };
  }
}
