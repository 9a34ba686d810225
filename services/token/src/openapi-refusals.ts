/**
 * What the OpenAPI document says about refusals: which codes an endpoint may answer, with an example of each.
 */
import { describeProblem, type RefusalCode, refusals } from "@keyhole/core";
import { problemSchema } from "./openapi-schemas.ts";

const exampleId = "018f2f6e-7f3a-7cc0-9a52-2f1c5a4b7d10";

/** Headers of every answer of an endpoint that takes proofs (draft-ietf-httpapi-ratelimit-headers-10). */
export const limitedHeaders = {
  "RateLimit-Policy": { description: "What is limited: a quota `q` in a window of `w` seconds.", schema: { type: "string" as const } },
  RateLimit: { description: "What is left: `r` requests now, all of them after `t` seconds.", schema: { type: "string" as const } },
};

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

function exampleFacts(code: RefusalCode): Record<string, string | number> {
  if (code === "UNKNOWN_FIELD" || code === "BODY_DUPLICATE_KEY") return { field: "address" };
  if (code === "RATE_LIMITED") return { limit: "address" };
  if (code === "BODY_TOO_LARGE") return { limitBytes: 4096 };
  if (code === "TIMESTAMP_STALE") return { serverTime: 1_770_163_920, skewSeconds: -720 };
  if (code === "TIMESTAMP_IN_FUTURE") return { serverTime: 1_770_162_480, skewSeconds: 720 };
  return (refusals[code] as { error?: string }).error === "INVALID_TIMESTAMP" ? { serverTime: 1_770_163_200 } : {};
}
