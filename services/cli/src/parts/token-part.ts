/** The token service: proofs in, tunnel tokens out. */
import {
  Fault,
  mintTunnelToken,
  parseStellarJwt,
  type ReadTunnelStatus,
  type ReadVerifyKeys,
  type SessionReader,
  type TokenStore,
  verifyProof,
} from "@keyhole/core";
import {
  createTokenApp,
  mintTunnelJwt,
  type ReadinessChecks,
  startTokenService,
  type TokenAppDeps,
  type TokenAppStats,
  type TokenService,
} from "@keyhole/token";
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
  stats(): TokenAppStats;
};

/** What it is given by the parts that it must not know. */
export type TokenPartDeps = {
  readonly tokens: TokenStore;
  readonly readStanding: SessionReader["standing"];
  readonly readStatus: ReadTunnelStatus;
  /** Called after a revocation is durable. */
  readonly tellRevoked: TellRevoked;
  /** What the others say about being ready. */
  readonly readiness: () => Promise<ReadinessChecks>;
  /** The CA that frpc must trust, as it is now. */
  readonly caPem: () => string;
};

/** Starts it. */
export async function startTokenPart(foundation: Foundation, deps: TokenPartDeps): Promise<TokenPart> {
  const { config, world, state, internal, portOf, component } = foundation;
  const { now, randomBytes, newRequestId } = world;
  const { tokens, caPem } = deps;
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
  const app = createTokenApp({
    verifyProof: (proof, purpose) => verifyProof(proof, { productName: settings.productName, purpose }),
    checkStellarJwt(jwt) {
      const parsed = parseStellarJwt(jwt, { audience: stellar.address, now: now() });
      return parsed.granted ? parsed.value.check() : parsed;
    },
    store: tokens,
    ...openMint(foundation),
    readStanding: deps.readStanding,
    tellRevoked: () => deps.tellRevoked(),
    readStatus: deps.readStatus,
    readiness: async () => ({ store: await checkStore(() => tokens.check()), ...(await deps.readiness()) }),
    renderClientConfig: (grant, options) => renderClientConfig({ grant, serverName: settings.serverName, caPem: caPem(), ...options }),
    caPem,
    now,
    newRequestId,
    log,
    settings,
  });
  const service = await startTokenService({ app, newRequestId, log, ...foundation.listenerOf("token") });
  const rates = openRates({
    refusals: () => sumOf(Object.entries(app.stats().answers).map(([code, count]) => (code === "OK" ? 0 : count))),
  });
  return {
    service,
    readRates: rates.read,
    stats: () => app.stats(),
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
