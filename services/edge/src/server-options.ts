/** How Node's HTTP server is to treat visitors: strict in what it reads, patient only for a time, a kept connection alive. */
import type { ServerOptions } from "node:http";
import { isWebSocketRequest } from "./request-form.ts";

/** For HTTP and HTTPS alike. */
export const serverOptions: ServerOptions = {
  insecureHTTPParser: false,
  // A request without Host is answered by us, with a problem document.
  requireHostHeader: false,
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 0,
  connectionsCheckingInterval: 2000,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
  noDelay: true,
  shouldUpgradeCallback: (req) => isWebSocketRequest(req),
};
