/**
 * What a NewProxy may ask for (invariant 1): `type = "http"`, the session's own label as host, and nothing else. An
 * allow-list over every field: one that is not named here must be absent or empty, so a field of a newer frp is refused
 * until somebody has looked at it.
 */
import { type Label, type Refusal, type RefusalCode, refuse } from "@keyhole/core";
import type { NewProxyContent } from "@keyhole/frp";

/** Fields that are judged below, or dropped: what the client says about itself, and a bandwidth limit (frpc keeps its own; frps 0.71.0 leaks with one). */
const judged = new Set(["user", "proxy_name", "proxy_type", "subdomain", "metas", "bandwidth_limit", "bandwidth_limit_mode"]);

/** Options with a code of their own, because people set them in good faith. The others are `PROXY_FIELD`, with their name. */
const codeOfField: ReadonlyMap<string, RefusalCode> = new Map([
  ["custom_domains", "CUSTOM_DOMAIN_FORBIDDEN"],
  ["locations", "LOCATIONS_FORBIDDEN"],
  ["group", "GROUP_FORBIDDEN"],
  ["group_key", "GROUP_FORBIDDEN"],
  ["host_header_rewrite", "HOST_REWRITE_FORBIDDEN"],
  ["response_headers", "RESPONSE_HEADERS_FORBIDDEN"],
  ["use_encryption", "TRANSPORT_OPTION"],
  ["use_compression", "TRANSPORT_OPTION"],
  ["annotations", "ANNOTATIONS_FORBIDDEN"],
]);

/** What every personal server once called its proxy: names are unique across the whole frps, so nobody may have it. */
const sharedName = "personal-server";

/** Refuses what is not allowed; undefined when the proxy may be registered for this label. */
export function judgeProxy(proxy: NewProxyContent, label: Label): Refusal | undefined {
  if (proxy.proxyType !== "http") return refuse("PROXY_TYPE").refusal;
  if (proxy.proxyName === sharedName) return refuse("PROXY_NAME_SHARED").refusal;
  if (!isOwnName(proxy.proxyName, label)) return refuse("PROXY_NAME").refusal;
  if (proxy.subdomain !== "" && proxy.subdomain.toLowerCase() !== label) return refuse("SUBDOMAIN_NOT_OWNED").refusal;
  for (const [field, value] of Object.entries(proxy.raw)) {
    if (judged.has(field) || isEmpty(value)) continue;
    const code = codeOfField.get(field);
    return code === undefined ? refuse("PROXY_FIELD", { field: field.slice(0, 40) }).refusal : refuse(code).refusal;
  }
  return undefined;
}

/**
 * Names are unique across the whole frps, so nobody may take one that another client needs: the label, the label and
 * anything after a dot, and what the personal server uses (`personal-server-<label>`, `ps-` and 8 hexadecimal digits).
 */
function isOwnName(name: string, label: Label): boolean {
  const lower = name.toLowerCase();
  if (!/^[\x21-\x7e]{1,128}$/.test(name)) return false;
  // frpc puts its `user` and a dot before every name; the personal server sets no user.
  return lower === label || lower.startsWith(`${label}.`) || lower === `personal-server-${label}` || /^ps-[0-9a-f]{8}$/.test(lower);
}

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  value === 0 ||
  value === false ||
  (typeof value === "object" && Object.keys(value).length === 0);

/** The proxy as frps is to register it: every field rebuilt, nothing of the client's kept but its name. */
export function deriveProxy(
  proxy: NewProxyContent,
  written: { readonly host: string; readonly marker: string; readonly scheme: "http" | "https" },
): Record<string, unknown> {
  return {
    user: proxy.raw["user"],
    proxy_name: proxy.proxyName,
    proxy_type: "http",
    custom_domains: [written.host],
    headers: { "X-Forwarded-Proto": written.scheme },
    response_headers: { [written.marker]: "1" },
  };
}

/** Refusals that the same client will meet again with the same proxy, or too soon: kicking it would not help. */
export const finalCodes: ReadonlySet<RefusalCode> = new Set([
  "PROXY_TYPE",
  "PROXY_NAME",
  "PROXY_NAME_SHARED",
  "PROXY_FIELD",
  "PROXY_LIMIT",
  "SUBDOMAIN_NOT_OWNED",
  "ADDRESS_BLOCKED",
  "NETWORK_BLOCKED",
  "RATE_LIMITED",
  ...codeOfField.values(),
]);
