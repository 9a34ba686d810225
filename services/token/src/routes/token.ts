/**
 * `POST /v1/tunnel/token`: a proof in, a tunnel token out (DESIGN.md §4). The order is security: everything that can be
 * refused or can break without the store comes first, then one durable transaction spends the proof and records the token
 * (invariant 5), then the token is minted (invariant 6).
 */
import { deriveLabel, type Identity, type TokenOutcome } from "@keyhole/core";
import type { Context } from "hono";
import { renderAnswer, toResponse } from "../answer.ts";
import { parseClientConfigQuery } from "../client-config-query.ts";
import type { Endpoint, TokenEnv } from "../endpoint.ts";
import { chooseMedia } from "../media-choice.ts";
import { describeRefusals, tokenGrantSchema, tokenRequestSchema } from "../openapi-schemas.ts";
import { type BodySource, readJsonObject } from "../request-body.ts";
import { cutTarget } from "../request-target.ts";
import type { TokenAppDeps } from "../token-app-deps.ts";
import { deriveTokenGrant } from "../token-grant.ts";
import { describeSkew, parseSignedOrder } from "../token-order.ts";

const bodyLimitBytes = 16 * 1024;
const defaultBodyTimeoutMs = 10_000;

const query = (name: string, description: string, schema: object) => ({ name, in: "query" as const, required: false, description, schema });

export const tokenEndpoint: Endpoint = {
  route: {
    method: "post",
    path: "/v1/tunnel/token",
    operationId: "createTunnelToken",
    tags: ["tunnel"],
    summary: "Buy a tunnel token with a wallet's signature",
    description: "A signed timestamp buys one token. `Accept: application/toml` answers a whole frpc.toml; the query is about that file.",
    parameters: [
      query("port", "Port of the local app.", { type: "integer", minimum: 1, maximum: 65_535, default: 8080 }),
      query("file", "Name the file will have: frpc reads the CA out of it.", {
        type: "string",
        pattern: "^[A-Za-z0-9._-]{1,64}$",
        default: "frpc.toml",
      }),
      query("caPath", "Absolute path of a CA file on your machine, instead of the CA inside the file.", { type: "string", maxLength: 512 }),
    ],
    request: { body: { required: true, content: { "application/json": { schema: tokenRequestSchema } } } },
    responses: {
      200: {
        description: "The token, and everything needed to connect with it.",
        content: {
          "application/json": { schema: tokenGrantSchema },
          "application/toml": { schema: { type: "string" }, example: 'serverAddr = "proxy.server.example"\n…' },
        },
      },
      ...describeRefusals([
        "QUERY_MALFORMED",
        "BODY_WRONG_TYPE",
        "BODY_TOO_LARGE",
        "BODY_TIMEOUT",
        "BODY_NOT_JSON",
        "BODY_NOT_OBJECT",
        "WALLET_MISSING",
        "WALLET_MALFORMED",
        "WALLET_CHECKSUM",
        "WALLET_UNSUPPORTED",
        "TIMESTAMP_MISSING",
        "TIMESTAMP_MALFORMED",
        "TIMESTAMP_EXPIRED",
        "TIMESTAMP_IN_FUTURE",
        "SIGNATURE_MISSING",
        "SIGNATURE_MALFORMED",
        "SIGNATURE_HIGH_S",
        "SIGNATURE_MISMATCH",
        "PROOF_ALREADY_USED",
        "TOKENS_TOO_FAST",
        "STORE_UNAVAILABLE",
      ]),
    },
  },

  create: (deps) => async (c) => {
    const startedAt = deps.now();
    const media = chooseMedia(c.req.header("accept"));
    const config = parseClientConfigQuery(new URLSearchParams(cutTarget(c.req.url).query));
    if (!config.granted) return deps.refuse(c, config.refusal);
    const timeoutMs = deps.settings.bodyTimeoutMs ?? defaultBodyTimeoutMs;
    const body = await readJsonObject(bodySourceOf(c), { limitBytes: bodyLimitBytes, timeoutMs });
    if (!body.granted) return deps.refuse(c, body.refusal);
    const now = deps.now();
    const order = parseSignedOrder(body.value, { timestampWindowSeconds: deps.settings.timestampWindowSeconds, now });
    if (!order.granted) return deps.refuse(c, order.refusal);
    const identity = deps.verifyProof(order.value);
    if (!identity.granted) return deps.refuse(c, identity.refusal);
    // Read before the proof is spent: a CA that cannot be read must not cost a wallet prompt.
    const caPem = deps.caPem();
    const outcome = await orderToken(deps, identity.value, order.value.timestamp, now);
    if (outcome.outcome === "too-fast") return deps.refuse(c, { code: "TOKENS_TOO_FAST" });
    if (outcome.outcome === "proof-already-used") {
      return deps.refuse(c, { code: "PROOF_ALREADY_USED", facts: describeSkew(now, order.value.timestamp) });
    }
    const grant = deriveTokenGrant(outcome.token, deps.mint(outcome.token), caPem, deps.settings);
    const content =
      media === "json"
        ? { type: "application/json", body: JSON.stringify(grant) }
        : { type: "application/toml", body: deps.renderClientConfig(grant, config.value) };
    const requestId = c.get("requestId");
    deps.log.info(
      { label: grant.subdomain, kind: outcome.token.kind, requestId, ms: deps.now().getTime() - startedAt.getTime() },
      "token granted",
    );
    const disposition = media === "toml" ? { "Content-Disposition": `attachment; filename="${config.value.fileName}"` } : {};
    return toResponse(renderAnswer(requestId, { ...content, headers: { Vary: "Accept", ...disposition } }));
  },
};

function orderToken(deps: TokenAppDeps, identity: Identity, timestamp: number, now: Date): Promise<TokenOutcome> {
  const { ttlSeconds, timestampWindowSeconds } = deps.settings;
  const label = deriveLabel(identity);
  return deps.store.orderToken({
    label,
    kind: "hmac",
    // Keyed on meaning: a signature has several spellings.
    proofKey: `token:${label}:${timestamp}`,
    // Twice the window, so that neither a clock that is set back nor a wider window makes a forgotten proof good again.
    proofEndsAt: new Date((timestamp + 2 * timestampWindowSeconds + 1) * 1000),
    now,
    ttlSeconds,
  });
}

/** The body as Node's own stream on a listener. Without a port there is none, and the request's stream costs nothing that matters. */
function bodySourceOf(c: Context<TokenEnv>): BodySource {
  return { header: (name) => c.req.header(name), incoming: c.env?.incoming, stream: () => c.req.raw.body };
}
