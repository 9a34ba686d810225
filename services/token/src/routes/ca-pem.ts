/** `GET /v1/tunnel/ca.pem`: the CA that frpc must trust, as a file. */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";

export const caPemEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/v1/tunnel/ca.pem",
    operationId: "getTunnelCa",
    tags: ["tunnel"],
    summary: "Get the CA that frpc must trust",
    responses: {
      200: { description: "PEM.", content: { "application/x-pem-file": { schema: { type: "string" } } } },
      ...describeRefusals([]),
    },
  },
  create: (deps) => (c) => respond(c, renderAnswer(c.get("requestId"), { type: "application/x-pem-file", body: deps.caPem() })),
};
