/**
 * `GET /.well-known/jwks.json`: the public keys of tunnel tokens in JWT form (RFC 7517). The one answer that may be cached:
 * a key is published before it mints, and outlives what it signed.
 */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";
import { jwksSchema } from "../openapi-schemas.ts";

export const jwksEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/.well-known/jwks.json",
    operationId: "getJwks",
    tags: ["tunnel"],
    summary: "Get the keys that verify tunnel tokens of tokenType jwt",
    responses: {
      200: { description: "A JWK Set.", content: { "application/json": { schema: jwksSchema } } },
      ...describeRefusals([]),
    },
  },
  create: (deps) => async (c) => {
    const headers = { "Cache-Control": "public, max-age=60" };
    return respond(c, renderAnswer(c.get("requestId"), { type: "application/json", body: JSON.stringify(await deps.jwks()), headers }));
  },
};
