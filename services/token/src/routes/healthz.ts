/** `GET /healthz`: this process answers. Asks nothing of anybody, so it cannot be slow because something else is. */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";

export const healthzEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/healthz",
    operationId: "getLiveness",
    tags: ["service"],
    summary: "Tell that this process answers",
    responses: {
      200: { description: "ok", content: { "text/plain": { schema: { type: "string", enum: ["ok\n"] } } } },
      ...describeRefusals([]),
    },
  },
  create: () => (c) => respond(c, renderAnswer(c.get("requestId"), { type: "text/plain; charset=utf-8", body: "ok\n" })),
};
