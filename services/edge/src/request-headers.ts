/**
 * The header block that frps and the app see (DESIGN.md §6, edge.md §3). What the visitor says about itself on our behalf
 * is deleted, ours is put in its place; hop-by-hop headers end here, and a name listed in `Connection` is not honoured, or
 * a visitor could delete our own headers in Go's proxy. Order, case and repetition of everything else stay.
 */

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "proxy-authenticate",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "expect",
]);
const ours = new Set(["host", "forwarded", "x-real-ip", "x-request-id"]);

/** What the edge itself says about a request. */
export type RequestMarks = {
  /** The normalised host: lower case, no port. */
  readonly host: string;
  /** The visitor's address. */
  readonly source: string;
  readonly scheme: "http" | "https";
  readonly requestId: string;
  /** The response marker's name: a visitor must not even send it. */
  readonly marker: string;
  readonly isWebSocket: boolean;
  /** For the token service alone: proves that the edge asks. */
  readonly edgePassword?: string;
};

/** Renders a flat list (`name, value, name, value, …`), as undici and node:http take it. */
export function renderRequestHeaders(rawHeaders: readonly string[], marks: RequestMarks): string[] {
  const headers = ["Host", marks.host];
  let hasAcceptEncoding = false;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    const value = rawHeaders[index + 1] as string;
    const key = name.toLowerCase();
    if (isForbidden(key, marks.marker)) continue;
    if (key === "accept-encoding") {
      // Go takes an empty one for none, asks for gzip itself and unpacks it.
      if (value.trim() === "") continue;
      hasAcceptEncoding = true;
    }
    headers.push(name, value);
  }
  if (!hasAcceptEncoding) headers.push("Accept-Encoding", "identity");
  headers.push("X-Forwarded-For", marks.source, "X-Forwarded-Proto", marks.scheme, "X-Forwarded-Host", marks.host);
  headers.push("X-Real-IP", marks.source, "X-Request-Id", marks.requestId);
  if (marks.edgePassword !== undefined) headers.push("X-Keyhole-Edge", marks.edgePassword);
  if (marks.isWebSocket) headers.push("Connection", "Upgrade", "Upgrade", "websocket");
  return headers;
}

function isForbidden(key: string, marker: string): boolean {
  if (hopByHop.has(key) || ours.has(key) || key === marker) return true;
  if (key.startsWith("x-keyhole-") || key.startsWith("x-forwarded-")) return true;
  // CGI and WSGI read `X_Forwarded_For` as `X-Forwarded-For`: the same name to the app, so the same rule.
  if (!key.includes("_")) return false;
  const dashed = key.replaceAll("_", "-");
  return dashed === "content-length" || isForbidden(dashed, marker);
}
