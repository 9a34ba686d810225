/** `GET /`: what this is, for a person who opens it in a browser. */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";

const page = (version: string) => `Keyhole ${version}: a wallet's address is a hostname; whoever proves the key holds the host.

POST /v1/tunnel/token             a wallet's signature in, a tunnel token for frpc out
GET  /v1/tunnel/status/{address}  whether an address is served
POST /v1/tunnel/revoke            a wallet's signature ends all its tokens and tunnels
GET  /v1/tunnel/ca.pem            the CA that frpc must trust
GET  /openapi.json                all of it, with the text to sign and every refusal
`;

export const indexEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/",
    operationId: "getIndex",
    tags: ["service"],
    summary: "Say what this is",
    responses: {
      200: { description: "A few lines of text.", content: { "text/plain": { schema: { type: "string" } } } },
      ...describeRefusals([]),
    },
  },
  create: (deps) => (c) =>
    respond(c, renderAnswer(c.get("requestId"), { type: "text/plain; charset=utf-8", body: page(deps.settings.version) })),
};
