/**
 * The OpenAPI 3.1 document of the public API, from the routes themselves. `services/token/openapi.json` is the committed
 * copy; a test compares them.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { endpoints } from "./endpoints.ts";
import { frpcRefusals } from "./openapi-refusals.ts";

const about = (productName: string) => `A wallet's address is a hostname; whoever proves the key holds the host.

Sign this text with the wallet, with the address exactly as you will send it and the time in Unix seconds. Lines end with one \`\\n\`, the last with none:

    Sign this message to authorize tunnel access for your ${productName}.

    Wallet: <walletAddress>
    Timestamp: <timestamp>

How a wallet signs a text: EVM by EIP-191 (\`personal_sign\`: secp256k1 over Keccak-256("\\x19Ethereum Signed Message:\\n" + the text's length in bytes as decimal digits + text)); Stellar by SEP-53: Ed25519 over SHA-256("Stellar Signed Message:\\n" + text), with the text in UTF-8.

Send the three (walletAddress, timestamp, signature) to \`POST /v1/tunnel/token\`. A Stellar account may send a JWT as Bearer instead: EdDSA, \`iss\` "hvym_tunnler", \`sub\` the account, \`aud\` the \`server_address\` of \`GET /info\`, \`exp\` at most an hour after \`iat\`. With \`Accept: application/toml\` the answer is a whole \`frpc.toml\` for stock frpc.

To end all tokens and tunnels of the wallet, sign this text and send the three to \`POST /v1/tunnel/revoke\`:

    Sign this message to revoke all tunnel access for your ${productName}.

    Wallet: <walletAddress>
    Timestamp: <timestamp>

What the tunnel server refuses later, frpc prints as one line, \`CODE: sentence remedy\`, with facts in parentheses: \`x-frpc-refusals\` in this document lists them all.

Every refusal is an RFC 9457 problem document with a stable \`code\`, what is wrong and what to do. CORS is open to every origin, without credentials; nothing but the JWK Set may be cached.`;

/** Renders the document as JSON text with a final newline. `productName` is the word in the signed message. */
export function renderOpenApi(options: { readonly productName?: string } = {}): string {
  const app = new OpenAPIHono();
  for (const { route } of endpoints) app.openAPIRegistry.registerPath(route);
  app.openAPIRegistry.registerComponent("securitySchemes", "stellarJwt", { type: "http", scheme: "bearer", bearerFormat: "JWT" });
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Keyhole tunnel tokens",
      version: "1.0.0",
      description: about(options.productName ?? "Vana Personal Server"),
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "tunnel", description: "What clients and builders use" },
      { name: "service", description: "What operators and monitors use" },
    ],
  });
  return `${JSON.stringify({ ...document, "x-frpc-refusals": frpcRefusals }, null, 2)}\n`;
}
