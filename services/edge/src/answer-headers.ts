/**
 * The header block that a visitor sees of an app's answer (DESIGN.md §6). The marker, which frps puts on genuine answers
 * only, decides whose answer it is and goes no further. `Set-Cookie` loses `Domain`: labels are neighbours under one
 * domain, and a cookie for the domain would be sent to, or forged by, all of them. Hop-by-hop headers are ours to set.
 */

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  // Announced trailers would bind us to a transfer coding that a HEAD, a 304 or an HTTP/1.0 visitor does not have.
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export type AnswerHeaders = {
  /** The answer carries the marker, so it is the app's and not frps's own. */
  readonly isMarked: boolean;
  /** Flat: `name, value, name, value, …`. */
  readonly headers: string[];
};

/** Reads an answer's raw header list (latin1, as it came over the wire). `marker` is lower case. */
export function readAnswerHeaders(
  raw: readonly (Buffer | string)[],
  options: { readonly marker: string | undefined; readonly requestId: string },
): AnswerHeaders {
  const headers: string[] = [];
  let isMarked = false;
  let hasRequestId = false;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = textOf(raw[index]);
    const key = name.toLowerCase();
    if (key === options.marker) {
      isMarked = true;
      continue;
    }
    if (hopByHop.has(key)) continue;
    const value = textOf(raw[index + 1]);
    if (key === "x-request-id") hasRequestId = true;
    headers.push(name, key === "set-cookie" ? dropCookieDomain(value) : value);
  }
  if (!hasRequestId) headers.push("X-Request-Id", options.requestId);
  return { isMarked, headers };
}

/** Trailers that may follow: what is not allowed in the head is not allowed behind the body either. */
export function readTrailers(raw: readonly (Buffer | string)[], marker: string | undefined): [string, string][] {
  const trailers: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = textOf(raw[index]);
    const key = name.toLowerCase();
    const isFraming = hopByHop.has(key) || key === "content-length" || key === "set-cookie" || key === "host";
    if (!isFraming && key !== marker) trailers.push([name, textOf(raw[index + 1])]);
  }
  return trailers;
}

/**
 * Removes every `Domain` attribute and nothing else. Attributes are split at `;` and their names compared without case and
 * surrounding space, as RFC 6265 §5.2 tells browsers to.
 */
export function dropCookieDomain(cookie: string): string {
  if (!/domain/i.test(cookie)) return cookie;
  const [pair = "", ...attributes] = cookie.split(";");
  const kept = attributes.filter((attribute) => (attribute.split("=", 1)[0] ?? "").trim().toLowerCase() !== "domain");
  return [pair, ...kept].join(";");
}

function textOf(part: Buffer | string | undefined): string {
  if (part === undefined) return "";
  return typeof part === "string" ? part : part.toString("latin1");
}
