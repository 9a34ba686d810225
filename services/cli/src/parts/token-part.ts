/** The token service: proofs in, tunnel tokens out. */
import { Fault, mintTunnelToken, type ReadTunnelStatus, type TokenStore, verifyProof } from "@keyhole/core";
import { createTokenApp, type ReadinessChecks, startTokenService, type TokenService } from "@keyhole/token";
import { renderClientConfig } from "../client-config.ts";
import { openKeyRing } from "../state/key-files.ts";
import type { Foundation } from "./foundation.ts";

/** A running token service. */
export type TokenPart = AsyncDisposable & { readonly service: TokenService };

/** What it is given by the parts that it must not know. */
export type TokenPartDeps = {
  readonly tokens: TokenStore;
  readonly readStatus: ReadTunnelStatus;
  /** What the others say about being ready. */
  readonly readiness: () => Promise<ReadinessChecks>;
  /** The CA that frpc must trust, as it is now. */
  readonly caPem: () => string;
};

/** Starts it. */
export async function startTokenPart(foundation: Foundation, deps: TokenPartDeps): Promise<TokenPart> {
  const { config, world, state, portOf, component } = foundation;
  const { now, randomBytes, newRequestId } = world;
  const { tokens, caPem } = deps;
  const tokenKeys = openKeyRing({ state, purpose: "token-hmac", isShared: true, now, randomBytes });
  const settings = {
    productName: config["token.productName"],
    ttlSeconds: config["token.ttlSeconds"],
    timestampWindowSeconds: config["token.timestampWindowSeconds"],
    tunnelUrl: (label: string): string => foundation.publicUrl.replace("{label}", label),
    serverAddr: config["control.host"],
    serverPort: portOf("control.listen"),
    serverName: config["control.host"],
    version: world.version,
  };
  const app = createTokenApp({
    verifyProof: (proof) => verifyProof(proof, settings),
    store: tokens,
    mint: (token) => mintTunnelToken(token, tokenKeys()),
    readStatus: deps.readStatus,
    readiness: async () => ({ store: await checkStore(() => tokens.check()), ...(await deps.readiness()) }),
    renderClientConfig: (grant, options) => renderClientConfig({ grant, serverName: settings.serverName, caPem: caPem(), ...options }),
    caPem,
    now,
    newRequestId,
    log: component("token"),
    settings,
  });
  const service = await startTokenService({
    app,
    newRequestId,
    log: component("token"),
    ...foundation.listenerOf("token"),
  });
  return { service, [Symbol.asyncDispose]: () => service.stop() };
}

/** A check of a store, as readiness tells it. */
export async function checkStore(check: () => Promise<void>): Promise<{ ok: boolean; detail?: string }> {
  try {
    await check();
    return { ok: true };
  } catch (cause) {
    return { ok: false, detail: cause instanceof Fault ? cause.code : "STORE_UNAVAILABLE" };
  }
}
