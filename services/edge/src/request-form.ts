/**
 * The form of a request, judged before anything is done for it (DESIGN.md §6, edge.md §3 and §11): origin form only, one
 * Host, one framing, no method that is meant for a proxy. Node's parser runs strictly and refuses the rest before this.
 * Pure and total.
 */
import { type Label, parseHost, type RefusalCode } from "@keyhole/core";

/** What the judgement needs of a request; an `IncomingMessage` fits. */
export type RequestLine = {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
  readonly rawHeaders: readonly string[];
};

export type RequestForm =
  | { readonly kind: "tunnel"; readonly label: Label; readonly host: string; readonly hasBody: boolean }
  | { readonly kind: "service"; readonly host: string; readonly hasBody: boolean }
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly hasBody: boolean };

/** HAProxy takes 101 headers; ours is rounder, and both say the same: no browser needs more. */
const maxHeaders = 200;
const proxyMethods = new Set(["CONNECT", "TRACE", "TRACK"]);

export function readRequestForm(line: RequestLine, names: { readonly domain: string; readonly controlHost?: string }): RequestForm {
  const { hosts, codings, lengths } = readFraming(line.rawHeaders);
  const hasBody = codings.length > 0 || lengths.some((length) => !/^0+$/.test(length));
  const refused = (code: RefusalCode): RequestForm => ({ kind: "refused", code, hasBody });

  if (line.rawHeaders.length > maxHeaders * 2) return refused("HEADERS_TOO_LARGE");
  if (proxyMethods.has(line.method ?? "")) return refused("METHOD_NOT_ALLOWED");
  if (line.httpVersionMajor !== 1 || line.httpVersionMinor > 1) return refused("REQUEST_MALFORMED");
  const url = line.url ?? "";
  if (!url.startsWith("/") || url.includes("#")) return refused("REQUEST_MALFORMED");
  if (codings.length > 1 || lengths.length > 1 || (codings.length === 1 && lengths.length === 1)) return refused("REQUEST_MALFORMED");
  if (codings[0] !== undefined && (codings[0] !== "chunked" || line.httpVersionMinor === 0)) return refused("REQUEST_MALFORMED");
  if (hosts.length !== 1) return refused("HOST_INVALID");

  const named = parseHost(hosts[0], names);
  const host = (hosts[0] ?? "").toLowerCase().replace(/:[0-9]{1,5}$/, "");
  switch (named.kind) {
    case "tunnel":
      return { kind: "tunnel", label: named.label, host, hasBody };
    case "service":
      return { kind: "service", host, hasBody };
    case "foreign":
      return refused("HOST_NOT_SERVED");
    case "malformed":
      return refused("HOST_INVALID");
    // The control host has nothing for visitors: `/~!frp` on it belongs to the wss bridge, which this door does not have yet.
    default:
      return refused("UNKNOWN_HOST");
  }
}

function readFraming(rawHeaders: readonly string[]): { hosts: string[]; codings: string[]; lengths: string[] } {
  const hosts: string[] = [];
  const codings: string[] = [];
  const lengths: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    // Only names of these lengths can matter: the hot path lower-cases next to nothing.
    if (name.length !== 4 && name.length !== 14 && name.length !== 17) continue;
    const key = name.toLowerCase();
    const value = rawHeaders[index + 1] as string;
    if (key === "host") hosts.push(value);
    else if (key === "content-length") lengths.push(value.trim());
    else if (key === "transfer-encoding") codings.push(value.trim().toLowerCase());
  }
  return { hosts, codings, lengths };
}

/** A WebSocket handshake (RFC 6455 §4.1): GET, HTTP/1.1, no body, and `websocket` alone. Every other upgrade is ignored. */
export function isWebSocketRequest(line: RequestLine & { readonly headers: { readonly upgrade?: string | undefined } }): boolean {
  if (line.method !== "GET" || line.httpVersionMajor !== 1 || line.httpVersionMinor !== 1) return false;
  if ((line.headers.upgrade ?? "").trim().toLowerCase() !== "websocket") return false;
  const { codings, lengths } = readFraming(line.rawHeaders);
  return codings.length === 0 && lengths.length === 0;
}
