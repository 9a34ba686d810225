/** Every route of the public API, in the order of its document. */
import type { Endpoint } from "./endpoint.ts";
import { caPemEndpoint } from "./routes/ca-pem.ts";
import { healthEndpoint } from "./routes/health.ts";
import { healthzEndpoint } from "./routes/healthz.ts";
import { indexEndpoint } from "./routes/index-page.ts";
import { infoEndpoint } from "./routes/info.ts";
import { jwksEndpoint } from "./routes/jwks.ts";
import { openApiEndpoint } from "./routes/openapi-document.ts";
import { readyzEndpoint } from "./routes/readyz.ts";
import { revokeEndpoint } from "./routes/revoke.ts";
import { statusEndpoint } from "./routes/status.ts";
import { tokenEndpoint } from "./routes/token.ts";

export const endpoints: readonly Endpoint[] = [
  tokenEndpoint,
  revokeEndpoint,
  statusEndpoint,
  caPemEndpoint,
  jwksEndpoint,
  infoEndpoint,
  healthEndpoint,
  healthzEndpoint,
  readyzEndpoint,
  openApiEndpoint,
  indexEndpoint,
];
