/**
 * The admin API as a value: `app.fetch(request, { orderer })` works without a port. Who may call it is decided by the door
 * that it is served on: the socket (`serveAdmin`) or the port (`admin-port.ts`).
 */
import { Fault } from "@keyhole/core";
import { type Context, Hono } from "hono";
import { answerRefusal, renderAdminRefusal } from "./admin-answers.ts";
import type { AdminDeps, AdminEndpoint, AdminEnv } from "./admin-endpoint.ts";
import { renderAdminOpenApi } from "./admin-openapi.ts";
import { blockEndpoints } from "./block-endpoints.ts";
import { identityEndpoints } from "./identity-endpoints.ts";
import { createOpenApiEndpoint, statusEndpoint } from "./service-endpoints.ts";
import { sessionEndpoints } from "./session-endpoints.ts";

/** The app. */
export type AdminApp = { fetch(request: Request, env: AdminEnv["Bindings"]): Response | Promise<Response> };

/** Version of the interface. */
const version = "1.0.0";

/** Every route, in the order of the document. */
export const adminEndpoints: readonly AdminEndpoint[] = [
  ...identityEndpoints,
  ...sessionEndpoints,
  ...blockEndpoints,
  statusEndpoint,
  createOpenApiEndpoint(() => renderOnce()),
];

let document: string | undefined;
const renderOnce = (): string => (document ??= renderAdminOpenApi(adminEndpoints, version));

/** Makes the app. */
export function createAdminApp(deps: AdminDeps): AdminApp {
  const app = new Hono<AdminEnv>();
  app.use(async (c, next) => {
    c.set("requestId", deps.newRequestId());
    await next();
  });
  const methods = new Map<string, string[]>();
  for (const { route, create } of adminEndpoints) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    app.on(route.method.toUpperCase(), path === "/v1/openapi.json" ? [path, "/openapi.json"] : [path], create(deps));
    methods.set(path, [...(methods.get(path) ?? []), route.method.toUpperCase()]);
  }
  for (const [path, allowed] of methods) {
    const Allow = allowed.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
    app.all(path, (c) => answerRefusal(c, { code: "METHOD_NOT_ALLOWED" }, { Allow }));
  }
  app.notFound((c: Context<AdminEnv>) => answerRefusal(c, { code: "NOT_FOUND" }));
  app.onError((error, c) => {
    const isStore = error instanceof Fault && error.code.startsWith("STORE_");
    const code = isStore ? "STORE_UNAVAILABLE" : "INTERNAL_ERROR";
    deps.log.error({ event: "admin.failed", code, path: c.req.path, requestId: c.get("requestId"), cause: String(error) }, "a call failed");
    return answerRefusal(c, { code });
  });
  return { fetch: (request, env) => app.fetch(request, env) };
}

/** Names the operator, on the socket alone. */
const ordererHeader = "Keyhole-Operator";
const ordererForm = /^[\x20-\x7e]{1,64}$/;

/** Adds the API to what the plugin's socket serves. Whoever may open the socket is trusted, with the name too. */
export function serveAdmin(partApp: Hono, admin: AdminApp, newRequestId: () => string): void {
  const answer = (c: Context): Response | Promise<Response> => {
    const orderer = c.req.header(ordererHeader) ?? "socket";
    if (ordererForm.test(orderer)) return admin.fetch(c.req.raw, { orderer });
    const { status, headers, body } = renderAdminRefusal({ code: "ORDERER_MALFORMED" }, newRequestId());
    return new Response(body, { status, headers });
  };
  partApp.all("/v1/*", answer);
  partApp.all("/openapi.json", answer);
}
