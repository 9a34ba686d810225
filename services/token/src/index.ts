/**
 * Public HTTP: a proof in, a tunnel token out. `createTokenApp` is the API as a value, `startTokenService` its listener,
 * `renderOpenApi` its document.
 */
export { createTokenApp, type TokenApp, type TokenAppStats } from "./app.ts";
export { renderOpenApi } from "./openapi.ts";
export { readJsonObject } from "./request-body.ts";
export {
  type CanaryReport,
  type CanaryStage,
  type ClientConfigOptions,
  canaryStages,
  type Log,
  type ReadinessChecks,
  type TokenAppDeps,
  type TokenAppSettings,
  type TokenType,
} from "./token-app-deps.ts";
export type { TokenGrant, TokenTransport } from "./token-grant.ts";
export { startTokenService, type TokenService, type TokenServiceOptions } from "./token-service.ts";
export { mintTunnelJwt } from "./tunnel-jwt-mint.ts";
