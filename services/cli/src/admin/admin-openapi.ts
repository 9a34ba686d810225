/** The OpenAPI 3.1 document of the admin API, from the routes themselves. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { AdminEndpoint } from "./admin-endpoint.ts";

const about = `What an operator sees and orders. It is served on the plugin's unix socket (\`<stateDir>/run/plugin.sock\`), where whoever may open it is trusted, and, when \`[admin] listen\` and \`keyFile\` are set, on that loopback port with the key as Bearer.

An order is recorded before it is answered, and is never undone from then on: 200 says that the edge refuses new requests, 202 that it is recorded and enforced as soon as that is possible, 503 that nothing was recorded. **Repeating an order is harmless**: a revocation only ever reaches further, a kick ends who is there then, a block replaces the one before it (its time begins anew), and what is lifted already is 404.

On the socket the header \`Keyhole-Operator\` (1 to 64 printable ASCII characters) names who orders, for the chain of events. On the port that is \`key\`.`;

/** Renders the document as JSON text with a final newline. */
export function renderAdminOpenApi(endpoints: readonly AdminEndpoint[], version: string): string {
  const app = new OpenAPIHono();
  for (const { route } of endpoints) app.openAPIRegistry.registerPath({ ...route, security: [{ key: [] }, {}] });
  app.openAPIRegistry.registerComponent("securitySchemes", "key", { type: "http", scheme: "bearer" });
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Keyhole admin",
      version,
      description: about,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "identities", description: "Wallets" },
      { name: "sessions", description: "Admitted logins that live" },
      { name: "blocks", description: "Who is kept out" },
      { name: "service", description: "The plugin itself" },
    ],
  });
  return `${JSON.stringify(document, null, 2)}\n`;
}
