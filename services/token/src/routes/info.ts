/**
 * `GET /info`: who this server is, in the shape that HVYM's clients read before they sign: `server_address` is the audience
 * of a Stellar JWT. What those clients could dial over a websocket is not served here, and `null` says so; services are not
 * restricted by name, so none is named.
 */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";
import { infoSchema } from "../openapi-schemas.ts";

export const infoEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/info",
    operationId: "getInfo",
    tags: ["service"],
    summary: "Tell who this server is to whom signs a Stellar JWT for it",
    responses: {
      200: { description: "The server's own account.", content: { "application/json": { schema: infoSchema } } },
      ...describeRefusals([]),
    },
  },
  create: (deps) => (c) => {
    const { stellarAddress, version } = deps.settings;
    const body = JSON.stringify({ server_address: stellarAddress, websocket_url: null, services: [], version });
    return respond(c, renderAnswer(c.get("requestId"), { type: "application/json", body }));
  },
};
