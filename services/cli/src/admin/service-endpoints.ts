/** `/v1/status` and the document. */

import { z } from "@hono/zod-openapi";
import { answerJson } from "./admin-answers.ts";
import type { AdminEndpoint } from "./admin-endpoint.ts";
import { describeRead } from "./admin-responses.ts";
import { statusSchema } from "./admin-schemas.ts";

/** What `keyhole status` needs of the plugin. */
export const statusEndpoint: AdminEndpoint = {
  route: {
    method: "get",
    path: "/v1/status",
    operationId: "getStatus",
    tags: ["service"],
    summary: "Tell how the plugin is",
    responses: describeRead("Its own word, asked now.", statusSchema, []),
  },
  create:
    ({ readPart }) =>
    async (c) =>
      answerJson(c, await readPart()),
};

/** `text` is asked for when the document is: it names this endpoint too. */
export const createOpenApiEndpoint = (text: () => string): AdminEndpoint => ({
  route: {
    method: "get",
    path: "/v1/openapi.json",
    operationId: "getOpenApi",
    tags: ["service"],
    summary: "This document; at /openapi.json too",
    responses: describeRead("OpenAPI 3.1.", z.object({ openapi: z.string() }).openapi("OpenApi"), []),
  },
  create: () => () =>
    new Response(text(), {
      headers: { "Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" },
    }),
});
