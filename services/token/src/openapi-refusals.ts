/**
 * What the OpenAPI document says about refusals: which codes an endpoint may answer, with an example of each.
 */
import { describeProblem, printTunnelMessage, type RefusalCode, refusalCodes, refusals } from "@keyhole/core";
import { exampleWallet, problemSchema, signedExample } from "./openapi-schemas.ts";

const header = (description: string, type: "string" | "integer" = "string") => ({ description, schema: { type } });

const exampleId = "018f2f6e-7f3a-7cc0-9a52-2f1c5a4b7d10";

/** Headers of every answer of an endpoint that takes proofs (draft-ietf-httpapi-ratelimit-headers-10). */
export const limitedHeaders = {
  "RateLimit-Policy": header("What is limited: a quota `q` in a window of `w` seconds."),
  RateLimit: header("What is left: `r` requests now, all of them after `t` seconds."),
};

/** Of the frpc.toml. */
export const fileNameHeader = header("With application/toml: `attachment`, with the name of `?file=`.");

/** Refusals of every endpoint that takes proofs. */
export const proofRefusals: readonly RefusalCode[] = [
  "CONTENT_TYPE_UNSUPPORTED",
  "CONTENT_ENCODING_UNSUPPORTED",
  "BODY_TOO_LARGE",
  "BODY_TIMEOUT",
  "BODY_INVALID_JSON",
  "BODY_NOT_OBJECT",
  "BODY_DUPLICATE_KEY",
  "UNKNOWN_FIELD",
  "PROOF_TWICE",
  "WALLET_REQUIRED",
  "WALLET_FORMAT",
  "WALLET_CHECKSUM",
  "WALLET_KIND_UNSUPPORTED",
  "WALLET_RESERVED",
  "WALLET_WEAK_KEY",
  "TIMESTAMP_REQUIRED",
  "TIMESTAMP_TYPE",
  "TIMESTAMP_STALE",
  "TIMESTAMP_IN_FUTURE",
  "SIGNATURE_REQUIRED",
  "SIGNATURE_FORMAT",
  "SIGNATURE_LENGTH",
  "SIGNATURE_NON_CANONICAL",
  "SIGNATURE_INVALID",
  "SIGNATURE_KIND_UNSUPPORTED",
  "SIGNER_MISMATCH",
  "PROOF_ALREADY_USED",
  "RATE_LIMITED",
  "BUSY",
  "STORE_UNAVAILABLE",
];

/** Refusals that any request may meet. */
const anywhere: readonly RefusalCode[] = [
  "REQUEST_MALFORMED",
  "METHOD_NOT_ALLOWED",
  "REQUEST_TIMEOUT",
  "HEADERS_TOO_LARGE",
  "INTERNAL_ERROR",
];

/** Every refusal that frpc prints, as the document's `x-frpc-refusals`: `CODE: sentence remedy` is the line. */
export const frpcRefusals = refusalCodes
  .filter((code) => refusals[code].voices.some((voice) => voice === "hook"))
  .map((code) => ({ code, sentence: refusals[code].sentence, remedy: refusals[code].remedy }));

/** The `responses` of a route that may refuse with these codes: one entry a status, one example a code. */
export function describeRefusals(codes: readonly RefusalCode[]) {
  const byStatus = Map.groupBy([...codes, ...anywhere], (code) => refusals[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        description: group.join(", "),
        headers: describeHeaders(group, codes),
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

/** `codes` are the endpoint's own: what only `anywhere` may meet has not been counted yet. */
function describeHeaders(group: readonly RefusalCode[], codes: readonly RefusalCode[]) {
  const statuses = new Set(group.map((code) => refusals[code].status));
  const isLimited = codes.includes("RATE_LIMITED") && group.some((code) => codes.includes(code));
  const comesBack = group.some((code) => refusals[code].retryAfterSeconds !== undefined || code === "RATE_LIMITED");
  return {
    ...(comesBack ? { "Retry-After": header("Seconds after which coming back helps.", "integer") } : {}),
    ...(isLimited ? limitedHeaders : {}),
    ...(statuses.has(401) ? { "WWW-Authenticate": header("A Bearer challenge (RFC 6750).") } : {}),
    ...(statuses.has(405) ? { Allow: header("The methods that are allowed at this path.") } : {}),
  };
}

function exampleFacts(code: RefusalCode): Record<string, string | number> {
  if (code === "UNKNOWN_FIELD" || code === "BODY_DUPLICATE_KEY") return { field: "address" };
  if (code === "QUERY_MALFORMED") return { parameter: "exclusve", reason: "there is no such parameter here" };
  if (code === "WALLET_CHECKSUM") return { expected: exampleWallet };
  if (code === "SIGNER_MISMATCH") return { expectedMessage: printTunnelMessage(signedExample, "<product>") };
  if (code === "RATE_LIMITED") return { limit: "address" };
  if (code === "BODY_TOO_LARGE") return { limitBytes: 4096 };
  if (code === "TIMESTAMP_STALE") return { serverTime: 1_770_163_920, skewSeconds: -720 };
  if (code === "TIMESTAMP_IN_FUTURE") return { serverTime: 1_770_162_480, skewSeconds: 720 };
  return (refusals[code] as { error?: string }).error === "INVALID_TIMESTAMP" ? { serverTime: 1_770_163_200 } : {};
}
