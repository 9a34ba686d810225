/** `GET /readyz`: each part by name; 503 as long as one is not ready. For load balancers and operators. */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";
import { readySchema } from "../openapi-schemas.ts";

export const readyzEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/readyz",
    operationId: "getReadiness",
    tags: ["service"],
    summary: "Tell whether every part is ready",
    description: "When one is not, the problem document has the same `checks`.",
    responses: {
      200: { description: "All are ready.", content: { "application/json": { schema: readySchema } } },
      ...describeRefusals(["NOT_READY"]),
    },
  },
  create: (deps) => async (c) => {
    const checks = await deps.readChecks();
    if (!Object.values(checks).every((check) => check.ok)) return deps.refuse(c, { code: "NOT_READY", facts: { checks } });
    return respond(c, renderAnswer(c.get("requestId"), { type: "application/json", body: JSON.stringify({ ready: true, checks }) }));
  },
};
