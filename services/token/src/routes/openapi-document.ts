/** `GET /openapi.json`: this API, as OpenAPI 3.1. */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";

export const openApiEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/openapi.json",
    operationId: "getOpenApi",
    tags: ["service"],
    summary: "Get this document",
    responses: {
      200: { description: "OpenAPI 3.1.", content: { "application/json": { schema: { type: "object" } } } },
      ...describeRefusals([]),
    },
  },
  create: (deps) => (c) => respond(c, renderAnswer(c.get("requestId"), { type: "application/json", body: deps.openApi })),
};
