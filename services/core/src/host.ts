/**
 * What a Host header names (DESIGN.md §3). Total and strict: every string gets exactly one answer, and only a label
 * right below the domain is a tunnel. Letters are compared without case, one `:port` is cut, nothing else is repaired:
 * a trailing dot is another name here, because to frps `x...` is a key of its connection pool.
 */
import { type Label, parseLabel } from "./label.ts";

/** What a host is to the edge. */
export type HostKind =
  | { readonly kind: "tunnel"; readonly label: Label }
  | { readonly kind: "service" }
  | { readonly kind: "control" }
  /** A name under the domain that no identity has: 404 `UNKNOWN_HOST`. */
  | { readonly kind: "unknown" }
  /** Somebody else's domain, or an IP address: 421 `HOST_NOT_SERVED`. */
  | { readonly kind: "foreign" }
  /** Not a host at all: 400 `HOST_INVALID`. */
  | { readonly kind: "malformed" };

const hostName = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/;
const ipLiteral = /^\[[0-9a-f:.]+\]$/;

/**
 * Tells what a Host header is. `domain` and `controlHost` are lower-case names without port. Never throws.
 *
 * @example
 * parseHost("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed.tunnel.localhost:7080", { domain: "tunnel.localhost" }).kind // "tunnel"
 * parseHost("example.org", { domain: "tunnel.localhost" }).kind // "foreign"
 */
export function parseHost(header: unknown, names: { readonly domain: string; readonly controlHost?: string }): HostKind {
  // Before letter case is folded: there are letters beyond ASCII whose lower case is within it.
  if (typeof header !== "string" || header.length > 320 || !/^[\x21-\x7e]*$/.test(header)) return { kind: "malformed" };
  const name = header.toLowerCase().replace(/:[0-9]{1,5}$/, "");
  if (ipLiteral.test(name)) return { kind: "foreign" };
  if (name.length > 254 || !hostName.test(name)) return { kind: "malformed" };
  if (name === names.domain || name === `api.${names.domain}`) return { kind: "service" };
  if (name === names.controlHost) return { kind: "control" };
  if (!name.replace(/\.$/, "").endsWith(`.${names.domain}`) && name !== `${names.domain}.`) return { kind: "foreign" };
  const label = name.endsWith(`.${names.domain}`) ? parseLabel(name.slice(0, -names.domain.length - 1)) : undefined;
  return label === undefined ? { kind: "unknown" } : { kind: "tunnel", label };
}
