/**
 * Public HTTP: a proof in, a tunnel token out (DESIGN.md §4). The app is a value: `app.request(…)` works without a port.
 * Rules kept here, once for all routes: every answer has the common headers, every "no" is a problem document with a code
 * of the catalogue, a path has exactly one spelling, and what breaks is logged with its cause and told as a code.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { deriveAddressPrefix, Fault, type RefusalCode } from "@keyhole/core";
import type { Context } from "hono";
import { parseRequestId, renderPreflight, renderRefusal, respond, type ToldRefusal } from "./answer.ts";
import { describeCause } from "./cause-description.ts";
import { createClientAddressReader } from "./client-address.ts";
import type { EndpointDeps, TokenEnv } from "./endpoint.ts";
import { endpoints } from "./endpoints.ts";
import { renderOpenApi } from "./openapi.ts";
import { createRecentAnswers } from "./recent-answers.ts";
import { createRequestLimits } from "./request-limits.ts";
import { cutTarget } from "./request-target.ts";
import type { ReadinessChecks, TokenAppDeps } from "./token-app-deps.ts";

/** What was answered since the start, for metrics. */
export type TokenAppStats = {
  /** Answers by code: `OK` for what is no refusal. As many names as the catalogue has. */
  readonly answers: Readonly<Record<string, number>>;
};

/** The public app: `fetch` for a listener, `request` for a test. */
export type TokenApp = OpenAPIHono<TokenEnv> & { stats(): TokenAppStats };

const checksMaxAgeMs = 1000;

/** Makes the app. Has no effect until it is asked something. */
export function createTokenApp(deps: TokenAppDeps): TokenApp {
  const app = new OpenAPIHono<TokenEnv>({ strict: true, getPath: (request) => cutTarget(request.url).path });
  const answers = new Map<RefusalCode | "OK", number>();
  app.use(async (c, next) => {
    c.set("requestId", parseRequestId(c.req.header("x-request-id")) ?? deps.newRequestId());
    if (c.req.method === "OPTIONS") return respond(c, renderPreflight(c.get("requestId")));
    await next();
    const code = c.get("refusalCode") ?? "OK";
    answers.set(code, (answers.get(code) ?? 0) + 1);
    if (code !== "OK") deps.noteRefusal(code, c.get("provedLabel"));
    return;
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
    c.set("refusalCode", code);
    return respond(c, renderRefusal({ code }, c.get("requestId"), c.get("limitHeaders")?.()));
  });
  return Object.assign(app, { stats: () => ({ answers: Object.fromEntries(answers) }) });
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
  const readClientAddress = createClientAddressReader(deps.settings);
  return {
    ...deps,
    limits: createRequestLimits(deps.settings.limits),
    readAddressPrefix: (c) =>
      deriveAddressPrefix(readClientAddress({ peer: c.env?.incoming?.socket.remoteAddress, header: (name) => c.req.header(name) })),
    now: () => deps.now(),
    newRequestId: () => deps.newRequestId(),
    openApi: renderOpenApi({ productName: deps.settings.productName }),
    refuse: (c, refusal) => answerRefusal(deps, c, refusal),
    readChecks: () => readChecks("all"),
  };
}

function answerRefusal(deps: TokenAppDeps, c: Context<TokenEnv>, refusal: ToldRefusal, headers?: Record<string, string>): Response {
  deps.log.debug({ code: refusal.code, requestId: c.get("requestId") }, "request refused");
  c.set("refusalCode", refusal.code);
  return respond(c, renderRefusal(refusal, c.get("requestId"), { ...c.get("limitHeaders")?.(), ...headers }));
}
