/**
 * `POST /v1/tunnel/token`: a proof in, a tunnel token out (DESIGN.md §4). The order is security: everything that can be
 * refused or can break without the store comes first, then one durable transaction spends the proof and records the token
 * (invariant 5), then the token is minted (invariant 6). A repeat with the same `Idempotency-Key` is minted again: a lost
 * answer must not cost a second wallet prompt.
 */
import { grant, type RefusalCode, refuse, type TokenOrder, type TokenOutcome, type TokenRecord, type Verdict } from "@keyhole/core";
import { renderAnswer, respond } from "../answer.ts";
import { describeCause } from "../cause-description.ts";
import { parseTokenQuery, refuseParameter } from "../client-config-query.ts";
import type { EndpointDeps, ProofContext, ProofEndpoint } from "../endpoint.ts";
import { chooseMedia, type Media } from "../media-choice.ts";
import { frpcTomlExamples } from "../openapi-frpc-examples.ts";
import { describeRefusals, fileNameHeader, limitedHeaders, proofRefusals } from "../openapi-refusals.ts";
import { tokenGrantSchema, tokenRequestSchema } from "../openapi-schemas.ts";
import { createProofEndpoint, type ProofService } from "../proof-endpoint.ts";
import { deriveRepeat, parseIdempotencyKey } from "../repeat-key.ts";
import { cutTarget } from "../request-target.ts";
import type { ClientConfigOptions, TokenType } from "../token-app-deps.ts";
import { deriveTokenGrant } from "../token-grant.ts";
import { describeSkew } from "../token-order.ts";

/** What query and headers say about the answer. */
type Head = {
  readonly startedAt: Date;
  readonly media: Media;
  readonly config: ClientConfigOptions;
  readonly isExclusive: boolean;
  readonly idempotencyKey: string | undefined;
};
type Wish = Head & { readonly tokenType: TokenType };

const query = (name: string, description: string, schema: object) => ({ name, in: "query" as const, required: false, description, schema });
const grantHeaders = { ...limitedHeaders, "Content-Disposition": fileNameHeader };
const grantContent = {
  "application/json": { schema: tokenGrantSchema },
  "application/toml": { schema: { type: "string" as const }, examples: frpcTomlExamples },
};

export const tokenEndpoint: ProofEndpoint = {
  route: {
    method: "post",
    path: "/v1/tunnel/token",
    operationId: "createTunnelToken",
    tags: ["tunnel"],
    summary: "Buy a tunnel token with a wallet's signature",
    description:
      "A proof buys one token: a signed timestamp in the body, or a Stellar JWT as Bearer (the body may then be empty, or say `tokenType`). `Accept: application/toml` answers a whole frpc.toml; the query is about that file, but for `exclusive`. A parameter of another name, or one that stands twice, is refused before anything is spent.",
    security: [{}, { stellarJwt: [] }],
    parameters: [
      query(
        "exclusive",
        "1: everything of this wallet that is older than the token ends, tokens and tunnels. 202 says that it will. Needs a signed message, not a JWT.",
        {
          type: "integer",
          enum: [1],
        },
      ),
      query("port", "Port of the local app.", { type: "integer", minimum: 1, maximum: 65_535, default: 8080 }),
      query("file", "Name the file will have: frpc reads the CA out of it.", {
        type: "string",
        pattern: "^[A-Za-z0-9._-]{1,64}$",
        default: "frpc.toml",
      }),
      query("caPath", "Absolute path of a CA file on your machine, instead of the CA inside the file.", { type: "string", maxLength: 512 }),
      query(
        "tokenFile",
        "tokenType jwt only: absolute path of a file on your machine that will hold the token; frpc reads it at every login.",
        {
          type: "string",
          maxLength: 512,
        },
      ),
      {
        name: "Idempotency-Key",
        in: "header",
        required: false,
        description:
          "For a minute the same key with the same proof, sent again byte by byte, gets the same token. `Accept` and the query parameters may differ, but for `exclusive`: so one proof gives the frpc.toml and the JSON.",
        schema: { type: "string", pattern: "^[\\x20-\\x7e]{1,255}$" },
      },
    ],
    request: { body: { required: false, content: { "application/json": { schema: tokenRequestSchema } } } },
    responses: {
      200: {
        description: "The token, and everything needed to connect with it.",
        headers: grantHeaders,
        content: grantContent,
      },
      202: {
        description: "As 200, and what is older (`exclusive`) is revoked; it will be cut off as soon as the plugin is back.",
        headers: grantHeaders,
        content: grantContent,
      },
      ...describeRefusals([
        "QUERY_MALFORMED",
        "IDEMPOTENCY_KEY_MALFORMED",
        ...proofRefusals,
        "TOKEN_TYPE_UNKNOWN",
        "JWT_MALFORMED",
        "JWT_ALGORITHM",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_KEY_MISMATCH",
        "JWT_LIFE_TOO_LONG",
        "JWT_EXPIRED",
        "JWT_NOT_YET_VALID",
        "TOKEN_REVOKED",
        "ADDRESS_BLOCKED",
        "IDEMPOTENCY_KEY_REUSED",
        "TOKENS_TOO_FAST",
      ]),
    },
  },

  create: (deps) =>
    createProofEndpoint(deps, { purpose: "token", parseHead: (c) => parseHead(c, deps), parseWish, serve: createServe(deps) }),
};

function parseHead(c: ProofContext, deps: EndpointDeps): Verdict<Head> {
  const asked = parseTokenQuery(new URLSearchParams(cutTarget(c.req.url).query));
  if (!asked.granted) return asked;
  const key = parseIdempotencyKey(c.req.header("idempotency-key"));
  if (!key.granted) return key;
  return grant({
    startedAt: deps.now(),
    media: chooseMedia(c.req.header("accept")),
    ...asked.value,
    idempotencyKey: key.value,
  });
}

function parseWish(head: Head, fields: Readonly<Record<string, unknown>>): Verdict<Wish> {
  const tokenType = Object.hasOwn(fields, "tokenType") ? fields.tokenType : "hmac";
  if (tokenType !== "hmac" && tokenType !== "jwt") return refuse("TOKEN_TYPE_UNKNOWN");
  // frpc sends what it reads from a file as an OIDC access token, and only a JWT has the form of one.
  if (tokenType === "hmac" && head.config.tokenFile !== undefined) return refuseParameter("tokenFile", "tokenFile needs tokenType jwt");
  return grant({ ...head, tokenType });
}

const refusalOf = {
  "proof-already-used": "PROOF_ALREADY_USED",
  "key-reused": "IDEMPOTENCY_KEY_REUSED",
  revoked: "TOKEN_REVOKED",
  "too-fast": "TOKENS_TOO_FAST",
} as const satisfies Record<Exclude<TokenOutcome["outcome"], "recorded" | "repeated">, RefusalCode>;

function createServe(deps: EndpointDeps): ProofService<Head, Wish>["serve"] {
  const { store, settings } = deps;
  return async (c, proven, wish) => {
    const { now } = proven;
    // Whoever reads a JWT on a client's machine must not end all of its tunnels with it.
    if (wish.isExclusive && proven.proofKind === "jwt") {
      return deps.refuse(c, { code: "QUERY_MALFORMED", facts: { parameter: "exclusive", reason: "needs a signed message, not a JWT" } });
    }
    const used = { code: "PROOF_ALREADY_USED", facts: describeSkew(now, proven.signedAt) } as const;
    // Read before the proof is spent: a CA that cannot be read must not cost a wallet prompt.
    const caPem = deps.caPem();
    const { block, revocation } = await deps.readStanding(proven.label);
    // Nothing would come of the token: no login of the wallet is admitted.
    if (block !== undefined && (block.endsAt === undefined || block.endsAt > now)) return deps.refuse(c, { code: "ADDRESS_BLOCKED" });
    const outcome = await store.orderToken(deriveOrder(c, proven, { ...wish, revocation }));
    if (!("token" in outcome)) {
      const code = refusalOf[outcome.outcome];
      // A proof that is not spent yet is its holder's: nobody else uses up a share with it.
      if (code === "TOKENS_TOO_FAST") proven.count("done");
      if (code === "PROOF_ALREADY_USED") {
        proven.count("replayed");
        return deps.refuse(c, used);
      }
      // Whose clock is behind meets this for a while after a revocation: our time helps.
      return deps.refuse(c, code === "TOKEN_REVOKED" ? { code, facts: used.facts } : { code });
    }
    if (outcome.outcome === "recorded") proven.count("done");
    // Whatever an operator revoked while it was being recorded: the token must not leave as if it had been bought afterwards.
    const latest = (await deps.readStanding(proven.label)).revocation;
    if (latest !== undefined && outcome.token.issuedAt < latest.notBefore) {
      return deps.refuse(c, { code: "TOKEN_REVOKED", facts: used.facts });
    }
    const enforced = wish.isExclusive ? { enforced: (await deps.tellRevoked(proven.label)) === "enforced" } : {};
    const token = await mintOrMintAgain(outcome);
    if (token === undefined) return deps.refuse(c, used);
    const answer = { ...deriveTokenGrant(outcome.token, token, caPem, settings), ...enforced };
    const isToml = wish.media === "toml";
    const content = isToml
      ? { type: "application/toml", body: deps.renderClientConfig(answer, wish.config) }
      : { type: "application/json", body: JSON.stringify(answer) };
    const disposition = isToml ? { "Content-Disposition": `attachment; filename="${wish.config.fileName}"` } : {};
    const requestId = c.get("requestId");
    const ms = deps.now().getTime() - wish.startedAt.getTime();
    deps.log.info(
      { label: proven.label, kind: outcome.token.kind, requestId, ms },
      `token ${outcome.outcome === "recorded" ? "granted" : "repeated"}`,
    );
    const headers = { ...c.get("limitHeaders")?.(), Vary: "Accept", ...disposition };
    return respond(c, renderAnswer(requestId, { ...content, headers, status: enforced.enforced === false ? 202 : 200 }));
  };

  function deriveOrder(
    c: ProofContext,
    proven: Parameters<ProofService<Head, Wish>["serve"]>[1],
    wish: Wish & { readonly revocation: TokenOrder["operatorRevocation"] },
  ): TokenOrder {
    const { label, proofKey, provedAt, proofEndsAt, now, body } = proven;
    const { tokenType, isExclusive, idempotencyKey, revocation: operatorRevocation } = wish;
    const request = { purpose: "token", body, authorization: c.req.header("authorization"), isExclusive };
    const repeat = idempotencyKey === undefined ? undefined : deriveRepeat(idempotencyKey, request);
    const keyId = deps.mintingKeyId(tokenType);
    const { ttlSeconds } = settings;
    return { label, kind: tokenType, proofKey, provedAt, proofEndsAt, now, ttlSeconds, keyId, isExclusive, repeat, operatorRevocation };
  }

  /** Undefined when a repeat cannot be made again, because the key that made it is gone. */
  async function mintOrMintAgain(outcome: { outcome: "recorded" | "repeated"; token: TokenRecord; keyId: string }) {
    try {
      return await deps.mint(outcome.token, outcome.keyId);
    } catch (error) {
      if (outcome.outcome === "recorded") throw error;
      deps.log.warn({ cause: describeCause(error) }, "token cannot be minted again");
      return undefined;
    }
  }
}
