/**
 * `GET /health`: one word for a monitor or a client's status page, in the shape that HVYM's clients read. Always 200: who
 * wants a status to act upon asks `/readyz`.
 */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { describeRefusals } from "../openapi-refusals.ts";
import { healthSchema } from "../openapi-schemas.ts";

export const healthEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/health",
    operationId: "getHealth",
    tags: ["service"],
    summary: "Tell how the service is, in one word",
    responses: {
      200: { description: "Healthy, or degraded: some part is not ready.", content: { "application/json": { schema: healthSchema } } },
      ...describeRefusals([]),
    },
  },
  create: (deps) => async (c) => {
    const checks = Object.values(await deps.readChecks());
    const status = checks.every((check) => check.ok) ? "healthy" : "degraded";
    const { version, stellarAddress } = deps.settings;
    const body = JSON.stringify({ status, service: "keyhole", version, server_address: stellarAddress });
    return respond(c, renderAnswer(c.get("requestId"), { type: "application/json", body }));
  },
};
