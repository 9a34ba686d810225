/**
 * Public HTTP: a proof in, a tunnel token out (DESIGN.md §4). The app is a value: `app.request(…)` works without a port.
 * Rules kept here, once for all routes: every answer has the common headers, every "no" is a problem document with a code
 * of the catalogue, a path has exactly one spelling, and what breaks is logged with its cause and told as a code.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { OpenAPIHono } from "@hono/zod-openapi";
import { deriveAddressPrefix, Fault, type RefusalCode } from "@keyhole/core";
import { parseRequestId, renderPreflight, renderRefusal, respond, type ToldRefusal } from "./answer.ts";
import { describeCause } from "./cause-description.ts";
import { createClientAddressReader } from "./client-address.ts";
import { createDirectContext, isPlainPost } from "./direct-request.ts";
import type { EndpointDeps, ProofContext, TokenEnv } from "./endpoint.ts";
import { endpoints } from "./endpoints.ts";
import { renderOpenApi } from "./openapi.ts";
import { bodyLimitBytes } from "./proof-endpoint.ts";
import { createRecentAnswers } from "./recent-answers.ts";
import { createRequestLimits } from "./request-limits.ts";
import { cutTarget } from "./request-target.ts";
import { tokenEndpoint } from "./routes/token.ts";
import type { CanaryReport, ReadinessChecks, TokenAppDeps } from "./token-app-deps.ts";

/** What was answered since the start, for metrics. */
export type TokenAppStats = {
  /** Answers by code: `OK` for what is no refusal. As many names as the catalogue has. */
  readonly answers: Readonly<Record<string, number>>;
};

/** The public app: `fetch` for a listener, `request` for a test. */
export type TokenApp = OpenAPIHono<TokenEnv> & {
  stats(): TokenAppStats;
  /** Answers a plain request for a token past the framework, as `fetch` would. False: it is none, and nothing was done. */
  answerDirectly(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
};

const checksMaxAgeMs = 1000;

/** Makes the app. Has no effect until it is asked something. */
export function createTokenApp(deps: TokenAppDeps): TokenApp {
  const app = new OpenAPIHono<TokenEnv>({ strict: true, getPath: (request) => cutTarget(request.url).path });
  const answers = new Map<RefusalCode | "OK", number>();
  app.use(async (c, next) => {
    begin(c);
    if (c.req.method === "OPTIONS") return respond(c, renderPreflight(c.get("requestId")));
    await next();
    count(c);
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
  app.onError((error, c) => answerFault(deps, c, error));
  const answerToken = tokenEndpoint.create(endpointDeps);

  function begin(c: ProofContext): void {
    c.set("requestId", parseRequestId(c.req.header("x-request-id")) ?? deps.newRequestId());
  }

  function count(c: ProofContext): void {
    const code = c.get("refusalCode") ?? "OK";
    answers.set(code, (answers.get(code) ?? 0) + 1);
    if (code !== "OK") deps.noteRefusal(code, c.get("provedLabel"));
  }

  function answerDirectly(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    if (!isPlainPost(incoming, tokenEndpoint.route.path, bodyLimitBytes)) return false;
    const c = createDirectContext(incoming, outgoing);
    begin(c);
    void answerAndCount(c);
    return true;
  }

  async function answerAndCount(c: ProofContext): Promise<void> {
    try {
      await answerToken(c);
    } catch (error) {
      answerFault(deps, c, error);
    }
    count(c);
  }

  return Object.assign(app, { stats: () => ({ answers: Object.fromEntries(answers) }), answerDirectly });
}

function answerFault(deps: TokenAppDeps, c: ProofContext, error: unknown): Response {
  const code = error instanceof Fault && error.code === "STORE_UNAVAILABLE" ? "STORE_UNAVAILABLE" : "INTERNAL_ERROR";
  deps.log.error({ code, requestId: c.get("requestId"), cause: describeCause(error) }, "request failed");
  c.set("refusalCode", code);
  return respond(c, renderRefusal({ code }, c.get("requestId"), c.get("limitHeaders")?.()));
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
  const readCanary = createRecentAnswers<"canary", CanaryReport | undefined>({
    ask: async () => await deps.readCanary?.().catch(() => undefined),
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
    readCanary: () => readCanary("canary"),
  };
}

function answerRefusal(deps: TokenAppDeps, c: ProofContext, refusal: ToldRefusal, headers?: Record<string, string>): Response {
  deps.log.debug({ code: refusal.code, requestId: c.get("requestId") }, "request refused");
  c.set("refusalCode", refusal.code);
  return respond(c, renderRefusal(refusal, c.get("requestId"), { ...c.get("limitHeaders")?.(), ...headers }));
}
