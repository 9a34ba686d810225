/**
 * Answers for what never becomes a request: a parser error, a deadline, CONNECT. The answer is written to the socket
 * itself, and the socket is read on for a moment: closing it with unread bytes would send a reset, and the caller would
 * lose the answer that says what was wrong.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { describeProblem, type RefusalCode } from "@keyhole/core";
import { renderRefusal, sendAnswer } from "./answer.ts";

const lingerMs = 500;

/** Writes a refusal as the last words on this socket. */
export function writeRefusal(socket: Duplex, code: RefusalCode, requestId: string): void {
  const { status, headers, body } = renderRefusal({ code }, requestId);
  const lines = [
    `HTTP/1.1 ${status} ${describeProblem({ code }, requestId).title}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body ?? "")}`,
    "Connection: close",
  ];
  socket.on("error", () => socket.destroy());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

/** What the parser or a deadline of Node's server complains about, as a code of the catalogue. */
export function codeOfClientError(error: Error & { readonly code?: string }): RefusalCode {
  if (error.code === "HPE_HEADER_OVERFLOW") return "HEADERS_TOO_LARGE";
  return error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? "REQUEST_TIMEOUT" : "REQUEST_MALFORMED";
}

/**
 * Why a parsed request is not served, or undefined. Only origin form, with exactly one Host (RFC 9112 §3.2), and a path
 * that nobody reads in two ways: dot segments and backslashes would be resolved by the adapter into another path.
 */
export function findRequestFlaw(incoming: IncomingMessage): RefusalCode | undefined {
  const target = incoming.url ?? "";
  const path = target.split(/[?#]/, 1)[0] ?? "";
  if (!path.startsWith("/") || path.includes("\\") || /\/(?:\.|%2e){1,2}(?:\/|$)/i.test(path)) return "REQUEST_MALFORMED";
  let hosts = 0;
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    if (incoming.rawHeaders[index]?.toLowerCase() === "host") hosts += 1;
  }
  const isOld = incoming.httpVersion === "1.0";
  return hosts === 1 || (isOld && hosts === 0) ? undefined : "REQUEST_MALFORMED";
}

/** Answers a refusal in place of the app. */
export function sendRefusal(outgoing: ServerResponse, code: RefusalCode, requestId: string): void {
  sendAnswer(outgoing, renderRefusal({ code }, requestId));
}
