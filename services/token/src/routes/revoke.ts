/**
 * `POST /v1/tunnel/revoke`: the owner ends all own tokens and sessions, with a signature over a text of its own. It is
 * acknowledged when it is durable and nothing more comes in (invariant 12); as long as the plugin is away, 202 says that
 * it is recorded and will be enforced.
 */
import { grant, printIdentity } from "@keyhole/core";
import { renderAnswer, respond } from "../answer.ts";
import { refuseQuery } from "../client-config-query.ts";
import type { Endpoint } from "../endpoint.ts";
import { printInstant } from "../instant.ts";
import { describeRefusals, limitedHeaders, proofRefusals } from "../openapi-refusals.ts";
import { revocationSchema, signedRequestSchema } from "../openapi-schemas.ts";
import { createProofEndpoint } from "../proof-endpoint.ts";
import { cutTarget } from "../request-target.ts";
import { describeSkew } from "../token-order.ts";

const content = { "application/json": { schema: revocationSchema } };

export const revokeEndpoint: Endpoint = {
  route: {
    method: "post",
    path: "/v1/tunnel/revoke",
    operationId: "revokeTunnelAccess",
    tags: ["tunnel"],
    summary: "End all tokens and tunnels of a wallet",
    description:
      "With a signature over the text for revocation. A Stellar JWT is not taken here, since the same one buys tokens. There are no query parameters.",
    request: { body: { required: true, content: { "application/json": { schema: signedRequestSchema } } } },
    responses: {
      200: { description: "Nothing that is older comes in any more; open connections are being cut.", headers: limitedHeaders, content },
      202: {
        description: "Recorded for good; enforced as soon as the plugin is back (`enforced: false`).",
        headers: limitedHeaders,
        content,
      },
      ...describeRefusals(["QUERY_MALFORMED", ...proofRefusals]),
    },
  },

  create: (deps) =>
    createProofEndpoint(deps, {
      purpose: "revoke",
      parseHead: (c) => {
        const query = refuseQuery(new URLSearchParams(cutTarget(c.req.url).query));
        return query.granted ? grant({ startedAt: deps.now() }) : query;
      },
      parseWish: (head) => grant(head),
      async serve(c, { identity, label, proofKey, provedAt, proofEndsAt, signedAt, now, count }, { startedAt }) {
        const outcome = await deps.store.revoke({ label, proofKey, provedAt, proofEndsAt, now });
        count(outcome.outcome === "revoked" ? "done" : "replayed");
        if (outcome.outcome === "proof-already-used") {
          return deps.refuse(c, { code: "PROOF_ALREADY_USED", facts: describeSkew(now, signedAt) });
        }
        const enforced = (await deps.tellRevoked(label)) === "enforced";
        const requestId = c.get("requestId");
        deps.log.info({ label, enforced, requestId, ms: deps.now().getTime() - startedAt.getTime() }, "access revoked");
        const told = { revoked: true, walletAddress: printIdentity(identity), notBefore: printInstant(outcome.notBefore), enforced };
        const headers = { ...c.get("limitHeaders")?.() };
        const body = JSON.stringify(told);
        return respond(c, renderAnswer(requestId, { type: "application/json", body, headers, status: enforced ? 200 : 202 }));
      },
    }),
};
