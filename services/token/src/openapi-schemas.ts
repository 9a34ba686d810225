/**
 * The shapes of the public API's answers, as the OpenAPI document shows them. Tests hold real answers against them.
 */
import { z } from "@hono/zod-openapi";
import { describeProblem, type RefusalCode, refusalCodes, refusals } from "@keyhole/core";

const exampleId = "018f2f6e-7f3a-7cc0-9a52-2f1c5a4b7d10";
const exampleWallet = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const exampleLabel = exampleWallet.toLowerCase();
const exampleUrl = `https://${exampleLabel}.server.example`;
const exampleCa = "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n";

const instant = () => z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

/** Every code that may be met over HTTP: ours, and those of the front door before us. */
export const publicCodes = refusalCodes.filter((code) => refusals[code].voices.some((voice) => voice !== "hook"));

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: "What is wrong." }),
    instance: z.string(),
    error: z.string().openapi({
      description:
        "INVALID_SIGNATURE, INVALID_TIMESTAMP, RATE_LIMITED or INTERNAL_ERROR where one of them covers the case; else as `code`.",
    }),
    code: z.enum(publicCodes as [RefusalCode, ...RefusalCode[]]),
    remedy: z.string().openapi({ description: "What to do about it." }),
    requestId: z.string().openapi({ description: "As in X-Request-Id." }),
    serverTime: z.int().optional().openapi({ description: "Our Unix time in seconds; with every INVALID_TIMESTAMP." }),
    skewSeconds: z.int().optional().openapi({ description: "The timestamp sent minus serverTime." }),
  })
  .catchall(z.unknown())
  .openapi("Problem");

export const tokenRequestSchema = z
  .object({
    walletAddress: z.string().openapi({ description: "As it was signed: all lower case, or with its EIP-55 checksum." }),
    timestamp: z.int().min(0).openapi({ description: "As it was signed: Unix seconds, at most 300 s from our clock." }),
    signature: z.string().openapi({ description: "65 bytes as 0x and 130 hexadecimal digits (EIP-191)." }),
  })
  .openapi("TokenRequest", { example: { walletAddress: exampleWallet, timestamp: 1_770_163_200, signature: `0x${"1b".repeat(65)}` } });

export const tokenGrantSchema = z
  .strictObject({
    token: z.string().openapi({ description: "Goes into frpc's metadatas.token." }),
    subdomain: z.string().openapi({ description: "The label: frpc's subdomain and user." }),
    serverAddr: z.string(),
    serverPort: z.int(),
    expiresAt: instant(),
    tunnelUrl: z.string().openapi({ description: "Where the app can be opened." }),
    tokenType: z.literal("hmac"),
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
  })
  .openapi("TokenGrant", {
    example: {
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
    },
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
      routable: z.boolean().openapi({ description: "Requests reach the client." }),
    }),
    z.strictObject({
      ...statusFields,
      status: z.literal("disconnected"),
      lastSeen: instant().nullable().openapi({ description: "To the hour. null: never." }),
      routable: z.literal(false),
    }),
  ])
  .openapi("TunnelStatus");

const base = { walletAddress: exampleWallet, tunnelUrl: exampleUrl, asOf: "2026-02-04T11:00:00Z", stale: false };
export const statusExamples = {
  connected: { value: { ...base, status: "connected", connectedSince: "2026-02-04T10:30:00Z", routable: true } },
  disconnected: { value: { ...base, status: "disconnected", lastSeen: "2026-02-04T08:00:00Z", routable: false } },
};

const checksSchema = z
  .record(z.string(), z.strictObject({ ok: z.boolean(), detail: z.string().optional() }))
  .openapi({ description: "Each part by name." });
export const readySchema = z.strictObject({ ready: z.literal(true), checks: checksSchema }).openapi("Ready");
export const healthSchema = z
  .strictObject({ status: z.enum(["healthy", "degraded"]), service: z.literal("keyhole"), version: z.string() })
  .openapi("Health", { example: { status: "healthy", service: "keyhole", version: "0.1.0" } });

/** Refusals that any request may meet. */
const anywhere: readonly RefusalCode[] = [
  "REQUEST_MALFORMED",
  "METHOD_NOT_ALLOWED",
  "REQUEST_TIMEOUT",
  "HEADERS_TOO_LARGE",
  "INTERNAL_ERROR",
];

/** The `responses` of a route that may refuse with these codes: one entry a status, one example a code. */
export function describeRefusals(codes: readonly RefusalCode[]) {
  const byStatus = Map.groupBy([...codes, ...anywhere], (code) => refusals[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        description: group.join(", "),
        content: {
          "application/problem+json": {
            schema: problemSchema,
            examples: Object.fromEntries(
              group.map((code) => [code, { value: describeProblem({ code, facts: exampleFacts(code) }, exampleId) }]),
            ),
          },
        },
      },
    ]),
  );
}

function exampleFacts(code: RefusalCode): Record<string, number> {
  if (code === "TIMESTAMP_EXPIRED") return { serverTime: 1_770_163_920, skewSeconds: -720 };
  if (code === "TIMESTAMP_IN_FUTURE") return { serverTime: 1_770_162_480, skewSeconds: 720 };
  return (refusals[code] as { error?: string }).error === "INVALID_TIMESTAMP" ? { serverTime: 1_770_163_200 } : {};
}
