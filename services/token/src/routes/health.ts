/**
 * `GET /health`: one word for a monitor or a client's status page, in the shape that HVYM's clients read, and what
 * the canary has found: behind it stands a whole tunnel. Always 200: who wants a status to act upon asks `/readyz`.
 */
import { renderAnswer, respond } from "../answer.ts";
import type { Endpoint } from "../endpoint.ts";
import { printInstant } from "../instant.ts";
import { describeRefusals } from "../openapi-refusals.ts";
import { healthSchema } from "../openapi-schemas.ts";
import type { CanaryReport } from "../token-app-deps.ts";

export const healthEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/health",
    operationId: "getHealth",
    tags: ["service"],
    summary: "Tell how the service is, in one word",
    responses: {
      200: {
        description: "Healthy, or degraded: some part is not ready, or the canary fails.",
        content: { "application/json": { schema: healthSchema } },
      },
      ...describeRefusals([]),
    },
  },
  create: (deps) => async (c) => {
    const [checks, canary] = await Promise.all([deps.readChecks(), deps.readCanary()]);
    const isWell = Object.values(checks).every((check) => check.ok) && canary?.ok !== false;
    const { version, stellarAddress } = deps.settings;
    const known = { status: isWell ? "healthy" : "degraded", service: "keyhole", version, server_address: stellarAddress };
    const body = JSON.stringify(canary === undefined ? known : { ...known, canary: describeCanary(canary) });
    return respond(c, renderAnswer(c.get("requestId"), { type: "application/json", body }));
  },
};

const describeCanary = ({ ok, stage, lastOkAt, ms }: CanaryReport): object => ({
  ok,
  ...(stage === undefined ? {} : { stage }),
  lastOkAt: lastOkAt === undefined ? null : printInstant(lastOkAt),
  ms: ms === undefined ? null : Math.round(ms),
});
