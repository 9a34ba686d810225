/**
 * Public HTTP: a proof in, a tunnel token out (DESIGN.md §4). The app is a value: `app.request(…)` works without a port.
 * Rules kept here, once for all routes: every answer has the common headers, every "no" is a problem document with a code
 * of the catalogue, a path has exactly one spelling, and what breaks is logged with its cause and told as a code.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { Fault } from "@keyhole/core";
import type { Context } from "hono";
import { parseRequestId, renderPreflight, renderRefusal, type ToldRefusal, toResponse } from "./answer.ts";
import { describeCause } from "./cause-description.ts";
import type { EndpointDeps, TokenEnv } from "./endpoint.ts";
import { endpoints } from "./endpoints.ts";
import { renderOpenApi } from "./openapi.ts";
import { createRecentAnswers } from "./recent-answers.ts";
import { cutTarget } from "./request-target.ts";
import type { ReadinessChecks, TokenAppDeps } from "./token-app-deps.ts";

/** The public app: `fetch` for a listener, `request` for a test. */
export type TokenApp = OpenAPIHono<TokenEnv>;

const checksMaxAgeMs = 1000;

/** Makes the app. Has no effect until it is asked something. */
export function createTokenApp(deps: TokenAppDeps): TokenApp {
  const app: TokenApp = new OpenAPIHono<TokenEnv>({ strict: true, getPath: (request) => cutTarget(request.url).path });
  app.use(async (c, next) => {
    c.set("requestId", parseRequestId(c.req.header("x-request-id")) ?? deps.newRequestId());
    return c.req.method === "OPTIONS" ? toResponse(renderPreflight(c.get("requestId"))) : next();
  });
  const endpointDeps = createEndpointDeps(deps);
  for (const { route, create } of endpoints) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    const allow = route.method === "get" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
    app.openAPIRegistry.registerPath(route);
    app.on(route.method.toUpperCase(), path, create(endpointDeps));
    app.all(path, (c) => answerRefusal(deps, c, { code: "METHOD_NOT_ALLOWED" }, { Allow: allow }));
  }
  app.notFound((c) => answerRefusal(deps, c, { code: "NOT_FOUND" }));
  app.onError((error, c) => {
    const code = error instanceof Fault && error.code === "STORE_UNAVAILABLE" ? "STORE_UNAVAILABLE" : "INTERNAL_ERROR";
    deps.log.error({ code, requestId: c.get("requestId"), cause: describeCause(error) }, "request failed");
    return toResponse(renderRefusal({ code }, c.get("requestId")));
  });
  return app;
}

function createEndpointDeps(deps: TokenAppDeps): EndpointDeps {
  const readChecks = createRecentAnswers<"all", ReadinessChecks>({
    ask: async () => {
      try {
        return await deps.readiness();
      } catch (error) {
        deps.log.warn({ cause: describeCause(error) }, "readiness cannot be told");
        return { readiness: { ok: false } };
      }
    },
    maxAgeMs: checksMaxAgeMs,
    maxEntries: 1,
    now: () => deps.now(),
  });
  return {
    ...deps,
    now: () => deps.now(),
    newRequestId: () => deps.newRequestId(),
    openApi: renderOpenApi({ productName: deps.settings.productName }),
    refuse: (c, refusal) => answerRefusal(deps, c, refusal),
    readChecks: () => readChecks("all"),
  };
}

function answerRefusal(deps: TokenAppDeps, c: Context<TokenEnv>, refusal: ToldRefusal, headers?: Record<string, string>): Response {
  deps.log.debug({ code: refusal.code, requestId: c.get("requestId") }, "request refused");
  return toResponse(renderRefusal(refusal, c.get("requestId"), headers));
}
