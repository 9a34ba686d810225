/**
 * Both forms of the frpc.toml, whole, as the OpenAPI document shows them: who writes a client sees what frpc will get.
 * They are text, since this package knows no frp; a test of `cli` holds them against what really renders the file.
 */
import { exampleGrant } from "./openapi-schemas.ts";

const { token, subdomain, serverAddr, serverPort, tunnelUrl, expiresAt, proxyName, transports } = exampleGrant;
const ca = transports.map((transport) => transport.ca).join("");

const withToken = `# cd to this file's folder, then run:
# frpc -c frpc.toml
# Serves http://127.0.0.1:8080 at ${tunnelUrl}
# The token in it is good until ${expiresAt}; a running frpc stays connected when a newer one is asked for before.
# Keep this file to yourself: whoever has it can serve this address.

serverAddr = "${serverAddr}"
serverPort = ${serverPort}
user = "${subdomain}"
loginFailExit = false

[metadatas]
token = "${token}"

[transport]
tcpMuxKeepaliveInterval = 5

[transport.tls]
serverName = "${serverAddr}"
trustedCaFile = "frpc.toml"

[[proxies]]
name = "${proxyName}"
type = "http"
localPort = 8080
subdomain = "${subdomain}"

# The authority that signed the server's certificate: trustedCaFile above is this file. The key is never sent.
[webServer]
password = """
${ca}"""
`;

const withTokenFile = `# Run:
# frpc -c frpc.toml
# Serves http://127.0.0.1:8080 at ${tunnelUrl}
# frpc reads the token at every login from /home/me/tunnel.jwt
# Put the JWT that this service answers with there before, and a newer one by ${expiresAt}; frpc need not be restarted.
# Keep that file to yourself: whoever has it can serve this address.

serverAddr = "${serverAddr}"
serverPort = ${serverPort}
user = "${subdomain}"
loginFailExit = false

[auth]
method = "oidc"

[auth.oidc.tokenSource]
type = "file"

[auth.oidc.tokenSource.file]
path = "/home/me/tunnel.jwt"

[transport]
tcpMuxKeepaliveInterval = 5

[transport.tls]
serverName = "${serverAddr}"
trustedCaFile = "/home/me/ca.pem"

[[proxies]]
name = "${proxyName}"
type = "http"
localPort = 8080
subdomain = "${subdomain}"
`;

/** The `examples` of `application/toml`. */
export const frpcTomlExamples = {
  hmac: { summary: "tokenType hmac: the token stands in the file, and so does the CA", value: withToken },
  tokenFile: {
    summary: "tokenType jwt with ?tokenFile=/home/me/tunnel.jwt&caPath=/home/me/ca.pem: both lie beside the file",
    value: withTokenFile,
  },
};
