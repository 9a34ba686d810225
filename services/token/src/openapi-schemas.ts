/**
 * The shapes of the public API's answers, as the OpenAPI document shows them. Tests hold real answers against them.
 */
import { z } from "@hono/zod-openapi";
import { disconnectedReasons, type RefusalCode, refusalCodes, refusals, unroutableReasons } from "@keyhole/core";

export const exampleWallet = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const exampleAccount = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";
const exampleLabel = exampleWallet.toLowerCase();
const exampleUrl = `https://${exampleLabel}.server.example`;
const exampleCa = "-----BEGIN CERTIFICATE-----\nMIIBExampleExampleExampleExampleExample==\n-----END CERTIFICATE-----\n";

const instant = () => z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

/** Every code that may be met over HTTP: ours, and those of the front door before us. */
export const publicCodes = refusalCodes.filter((code) => refusals[code].voices.some((voice) => voice === "token" || voice === "edge"));

const checksSchema = z.record(z.string(), z.strictObject({ ok: z.boolean(), detail: z.string().optional() }));
const fact = <Schema extends z.ZodType>(schema: Schema, description: string) => schema.optional().openapi({ description });

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: "What is wrong." }),
    instance: z.string(),
    error: z.string().openapi({
      description:
        "For older clients; use `code`. INVALID_SIGNATURE, INVALID_TIMESTAMP, RATE_LIMITED or INTERNAL_ERROR where one of them covers the case; else as `code`.",
    }),
    code: z.enum(publicCodes as [RefusalCode, ...RefusalCode[]]).openapi({ description: "What is wrong, for programs. Stable." }),
    remedy: z.string().openapi({ description: "What to do about it." }),
    requestId: z.string().openapi({ description: "As in X-Request-Id." }),
    serverTime: fact(z.int(), "Our Unix time in seconds; with all that a clock may have caused."),
    skewSeconds: fact(z.int(), "The timestamp sent minus serverTime."),
    expectedMessage: fact(z.string(), "SIGNER_MISMATCH, SIGNATURE_INVALID: the text that should have been signed, byte by byte."),
    parameter: fact(z.string(), "QUERY_MALFORMED: the query parameter, at most 64 characters of its name."),
    reason: fact(z.string(), "QUERY_MALFORMED: what is wrong with it."),
    field: fact(
      z.string(),
      "UNKNOWN_FIELD, BODY_DUPLICATE_KEY: the field of the body, at most 64 characters of its name. JWT_MALFORMED: the claim.",
    ),
    expected: fact(z.string(), "WALLET_CHECKSUM: the address with its right checksum."),
    digits: fact(z.int(), "WALLET_FORMAT: how many hexadecimal digits came."),
    expectedDigits: fact(z.int(), "WALLET_FORMAT: how many there should be."),
    characters: fact(z.int(), "WALLET_FORMAT: how many characters came."),
    expectedCharacters: fact(z.int(), "WALLET_FORMAT: how many there should be."),
    bytes: fact(z.int(), "SIGNATURE_LENGTH: how many bytes came."),
    expectedBytes: fact(z.int(), "SIGNATURE_LENGTH: how many there should be."),
    limitBytes: fact(z.int(), "BODY_TOO_LARGE: how large a body may be."),
    limit: fact(z.enum(["address", "failed-proofs", "identity"]), "RATE_LIMITED: which limit; they stand in RateLimit-Policy."),
    seconds: fact(z.int(), "JWT_LIFE_TOO_LONG: the life of the JWT."),
    expiredAt: fact(z.int(), "JWT_EXPIRED: Unix seconds."),
    validFrom: fact(z.int(), "JWT_NOT_YET_VALID: Unix seconds."),
    checks: fact(checksSchema, "NOT_READY: as in the answer of /readyz."),
  })
  .catchall(z.unknown())
  .openapi("Problem");

const signedFields = {
  walletAddress: z.string().openapi({
    description: "As it was signed: EVM, all lower case or with its EIP-55 checksum; or a Stellar account G….",
  }),
  timestamp: z.int().openapi({ description: "As it was signed: Unix seconds, at most 300 s from our clock." }),
  signature: z.string().openapi({
    description:
      'EVM: 65 bytes as 0x and 130 hexadecimal digits (EIP-191 `personal_sign` of the text). Stellar (SEP-53): the 64 bytes of Ed25519 over SHA-256("Stellar Signed Message:\\n" + text), in base64 or hexadecimal.',
  }),
};
export const signedExample = { walletAddress: exampleWallet, timestamp: 1_770_163_200, signature: `0x${"1b".repeat(65)}` };
const tokenTypeField = z.enum(["hmac", "jwt"]).optional().openapi({ description: "hmac when it is left out." });

/** Other fields are refused, and so is one that stands twice. */
export const signedRequestSchema = z.strictObject(signedFields).openapi("SignedRequest", { example: signedExample });

export const tokenRequestSchema = z
  .union([
    z.strictObject({ ...signedFields, tokenType: tokenTypeField }).openapi("SignedTokenRequest", { example: signedExample }),
    z.strictObject({ tokenType: tokenTypeField }).openapi("BearerTokenRequest", { example: { tokenType: "jwt" } }),
  ])
  .openapi("TokenRequest");

export const revocationSchema = z
  .strictObject({
    revoked: z.literal(true),
    walletAddress: z.string(),
    notBefore: instant().openapi({ description: "Whatever was issued before is revoked." }),
    enforced: z.boolean().openapi({ description: "false: recorded; what is open will be cut as soon as the plugin is back." }),
  })
  .openapi("Revocation", {
    example: { revoked: true, walletAddress: exampleWallet, notBefore: "2026-02-04T12:00:01Z", enforced: true },
  });

/** A token answer, as the examples show it. */
export const exampleGrant = {
  token: `frp_MHg1YWFlYjYwNTNmM2U5NGM5YjlhMDlmMzM2Njk0MzVlN2VmMWJlYWVk_1770163200_${"0".repeat(64)}`,
  subdomain: exampleLabel,
  serverAddr: "proxy.server.example",
  serverPort: 7000,
  expiresAt: "2026-02-05T00:00:00Z",
  tunnelUrl: exampleUrl,
  tokenType: "hmac",
  renewAfter: "2026-02-04T12:00:00Z",
  proxyName: "app",
  transports: [{ protocol: "tcp", addr: "proxy.server.example", port: 7000, serverName: "proxy.server.example", ca: exampleCa }],
};

export const tokenGrantSchema = z
  .strictObject({
    token: z.string().openapi({ description: "Goes into frpc's metadatas.token; or, of tokenType jwt, into the file of `?tokenFile=`." }),
    subdomain: z.string().openapi({ description: "The label: frpc's subdomain and user." }),
    serverAddr: z.string(),
    serverPort: z.int(),
    expiresAt: instant(),
    tunnelUrl: z.string().openapi({ description: "Where the app can be opened." }),
    tokenType: z.enum(["hmac", "jwt"]),
    renewAfter: instant().openapi({ description: "Ask for the next token from here on: half of the life." }),
    proxyName: z.string().openapi({ description: "The proxy's name in a frpc.toml with user = subdomain." }),
    transports: z
      .array(
        z.strictObject({
          protocol: z.literal("tcp"),
          addr: z.string(),
          port: z.int(),
          serverName: z.string().openapi({ description: "frpc's transport.tls.serverName." }),
          ca: z.string().openapi({ description: "PEM: what frpc must trust on this way." }),
        }),
      )
      .min(1),
    enforced: z
      .boolean()
      .optional()
      .openapi({ description: "With exclusive=1: what is older comes in no more (false: when the plugin is back)." }),
  })
  .openapi("TokenGrant", {
    example: exampleGrant,
  });

const statusFields = {
  walletAddress: z.string().openapi({ description: "EIP-55, or the G… account." }),
  tunnelUrl: z.string(),
  asOf: instant().openapi({ description: "When this was last known to be true." }),
  stale: z.boolean().openapi({ description: "True when the truth cannot be asked at the moment: this is what was last known." }),
};

export const statusSchema = z
  .union([
    z.strictObject({
      ...statusFields,
      status: z.literal("connected"),
      connectedSince: instant(),
      routable: z.boolean().openapi({ description: "As far as anybody can tell, requests reach the app." }),
      reason: z.enum(unroutableReasons).optional().openapi({
        description:
          "Only when not routable. APP_UNREACHABLE, APP_TIMEOUT: nothing answered behind the tunnel when it was last visited. CLIENT_LOST: its client's connection is gone. NOT_SHOWN: frps does not show it. SERVER_UNREACHABLE, SERVER_SILENT, EDGE_AWAY: it is this service. UNKNOWN: nobody can tell at the moment.",
      }),
    }),
    z.strictObject({
      ...statusFields,
      status: z.literal("disconnected"),
      lastSeen: instant().nullable().openapi({ description: "To the hour. null: never." }),
      routable: z.literal(false),
      reason: z.enum(disconnectedReasons).openapi({
        description:
          "NEVER_SEEN: never served. CLOSED: its client left. LOST: its client vanished. DISPLACED: another client of the wallet came, and left. EXPIRED: its token ended. EVICTED: ended by its owner or by this service. BLOCKED: not admitted here. CONNECTING, HANDING_OVER: a client is coming. SERVER_AWAY: this service's tunnel server is not running; clients come back by themselves.",
      }),
    }),
  ])
  .openapi("TunnelStatus");

const base = { walletAddress: exampleWallet, tunnelUrl: exampleUrl, asOf: "2026-02-04T11:00:00Z", stale: false };
export const statusExamples = {
  connected: { value: { ...base, status: "connected", connectedSince: "2026-02-04T10:30:00Z", routable: true } },
  unroutable: {
    value: { ...base, status: "connected", connectedSince: "2026-02-04T10:30:00Z", routable: false, reason: "APP_UNREACHABLE" },
  },
  disconnected: { value: { ...base, status: "disconnected", lastSeen: "2026-02-04T08:00:00Z", routable: false, reason: "CLOSED" } },
};

export const readySchema = z
  .strictObject({ ready: z.literal(true), checks: checksSchema.openapi({ description: "Each part by name." }) })
  .openapi("Ready");
export const healthSchema = z
  .strictObject({
    status: z.enum(["healthy", "degraded"]),
    service: z.literal("keyhole"),
    version: z.string(),
    server_address: z.string(),
    canary: z
      .strictObject({
        ok: z.boolean(),
        stage: z
          .enum(["token", "login", "edge", "answer"])
          .optional()
          .openapi({ description: "What fails: buying a token, a client's login, the edge, or a visitor's answer." }),
        lastOkAt: instant().nullable(),
        ms: z.int().nullable().openapi({ description: "How long its last answer took." }),
      })
      .optional()
      .openapi({
        description: "A tunnel of this service's own, asked for through the front door all the time. Absent: none has reported.",
      }),
  })
  .openapi("Health", { example: { status: "healthy", service: "keyhole", version: "0.1.0", server_address: exampleAccount } });

export const infoSchema = z
  .strictObject({
    server_address: z.string().openapi({ description: "The Stellar account of this server: `aud` of a Stellar JWT." }),
    websocket_url: z.null().openapi({ description: "There is no websocket endpoint for tunnels here." }),
    services: z.array(z.string()).openapi({ description: "Empty: what a tunnel serves is not restricted by name." }),
    version: z.string(),
  })
  .openapi("Info", { example: { server_address: exampleAccount, websocket_url: null, services: [], version: "0.1.0" } });

export const jwksSchema = z
  .object({
    keys: z.array(z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string(), kid: z.string() }).catchall(z.unknown())),
  })
  .openapi("JwkSet");
