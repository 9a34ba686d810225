/**
 * What a proof buys, as the public API says it (DESIGN.md §4): the seed's five fields word for word, then ours.
 */
import type { Label, TokenRecord } from "@keyhole/core";
import { printInstant } from "./instant.ts";
import type { TokenAppSettings, TokenType } from "./token-app-deps.ts";

/** One way to reach frps, with the CA to trust on that way. */
export type TokenTransport = {
  readonly protocol: "tcp";
  readonly addr: string;
  readonly port: number;
  /** frpc's `transport.tls.serverName`. */
  readonly serverName: string;
  /** PEM. */
  readonly ca: string;
};

/** The answer to a token request. Instants are RFC 3339 in whole seconds, UTC. */
export type TokenGrant = {
  readonly token: string;
  readonly subdomain: Label;
  readonly serverAddr: string;
  readonly serverPort: number;
  readonly expiresAt: string;
  readonly tunnelUrl: string;
  readonly tokenType: TokenType;
  /** Half of the token's life: ask for the next one from here on. */
  readonly renewAfter: string;
  /** `name` of the proxy in a frpc.toml that has `user = subdomain`; frps then sees `<subdomain>.<proxyName>`. */
  readonly proxyName: string;
  readonly transports: readonly TokenTransport[];
  /** Only when `?exclusive=1` was asked for: what is older is refused from now on (`false`: as soon as the plugin is back). */
  readonly enforced?: boolean;
};

/** With `user = <label>` frpc registers `<label>.app`, a name that no other label can take. */
const proxyName = "app";

/** Tells a caller everything it needs to connect with this token. */
export function deriveTokenGrant(record: TokenRecord, token: string, caPem: string, settings: TokenAppSettings): TokenGrant {
  const middle = new Date((record.issuedAt.getTime() + record.expiresAt.getTime()) / 2);
  return {
    token,
    subdomain: record.label,
    serverAddr: settings.serverAddr,
    serverPort: settings.serverPort,
    expiresAt: printInstant(record.expiresAt),
    tunnelUrl: settings.tunnelUrl(record.label),
    tokenType: record.kind === "jwt" ? "jwt" : "hmac",
    renewAfter: printInstant(middle),
    proxyName,
    transports: [{ protocol: "tcp", addr: settings.serverAddr, port: settings.serverPort, serverName: settings.serverName, ca: caPem }],
  };
}
