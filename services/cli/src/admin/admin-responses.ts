/** What the document of the admin API says of answers: which codes a route may refuse with, with an example of each. */
import { describeProblem, type RefusalCode, refusals } from "@keyhole/core";
import type { z } from "zod";
import { orderSchema, problemSchema } from "./admin-schemas.ts";

const exampleId = "018f2f6e-7f3a-7cc0-9a52-2f1c5a4b7d10";

/** Refusals that any request may meet: those of the port, which the socket does not say, too. */
const anywhere: readonly RefusalCode[] = [
  "ADMIN_UNAUTHORIZED",
  "ADMIN_FROM_BROWSER",
  "HOST_NOT_SERVED",
  "RATE_LIMITED",
  "ORDERER_MALFORMED",
  "REQUEST_MALFORMED",
  "METHOD_NOT_ALLOWED",
  "REQUEST_TIMEOUT",
  "HEADERS_TOO_LARGE",
  "QUERY_MALFORMED",
  "INTERNAL_ERROR",
];

/** Refusals of a wallet's address. */
export const walletRefusals: readonly RefusalCode[] = [
  "WALLET_REQUIRED",
  "WALLET_FORMAT",
  "WALLET_CHECKSUM",
  "WALLET_KIND_UNSUPPORTED",
  "WALLET_RESERVED",
  "WALLET_WEAK_KEY",
];

/** Refusals of a body. */
export const bodyRefusals: readonly RefusalCode[] = [
  "CONTENT_TYPE_UNSUPPORTED",
  "CONTENT_ENCODING_UNSUPPORTED",
  "BODY_TOO_LARGE",
  "BODY_INVALID_JSON",
  "BODY_NOT_OBJECT",
  "BODY_DUPLICATE_KEY",
  "UNKNOWN_FIELD",
  "FIELD_MALFORMED",
];

/** The `responses` of a route that reads. */
export const describeRead = (description: string, schema: z.ZodType, codes: readonly RefusalCode[]) => ({
  200: { description, content: { "application/json": { schema } } },
  ...describeRefusals(codes),
});

/** The `responses` of an order. */
export const describeOrder = (codes: readonly RefusalCode[]) => ({
  200: { description: "Recorded, and enforced.", content: { "application/json": { schema: orderSchema } } },
  202: { description: "Recorded; not yet enforced.", content: { "application/json": { schema: orderSchema } } },
  ...describeRefusals([...codes, "STORE_UNAVAILABLE"]),
});

function describeRefusals(codes: readonly RefusalCode[]) {
  const byStatus = Map.groupBy(new Set([...codes, ...anywhere]), (code) => refusals[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        description: group.join(", "),
        headers: describeHeaders(status),
        content: {
          "application/problem+json": {
            schema: problemSchema,
            examples: Object.fromEntries(group.map((code) => [code, { value: describeProblem({ code }, exampleId) }])),
          },
        },
      },
    ]),
  );
}

const header = (description: string, type: "string" | "integer" = "string") => ({ description, schema: { type } });

const describeHeaders = (status: number) => ({
  ...(status === 429 || status === 503 ? { "Retry-After": header("Seconds after which coming back helps.", "integer") } : {}),
  ...(status === 401 ? { "WWW-Authenticate": header("A Bearer challenge (RFC 6750).") } : {}),
  ...(status === 405 ? { Allow: header("The methods that are allowed at this path.") } : {}),
});

/** A parameter of the path or the query. */
export const describeParameter = (name: string, place: "path" | "query", description: string, type: "string" | "integer" = "string") => ({
  name,
  in: place,
  required: place === "path",
  description,
  schema: { type },
});

/** Of every order. */
export const waitParameter = describeParameter(
  "waitMs",
  "query",
  "How long to wait for the edge, 0 to 900 ms (default: 900). Then the answer is 202.",
  "integer",
);

/** Of every route about a wallet. */
export const addressParameter = describeParameter(
  "address",
  "path",
  "A wallet's address (EVM: all lower case or with its EIP-55 checksum; Stellar: G…), or its label.",
);
