/**
 * Every answer that the edge makes itself: a problem document (RFC 9457), or the same as a page for who asks for HTML.
 * Never cached, readable for scripts of every origin, never sniffed, and with the request's id. One table of headers for
 * all of them, so that no refusal can forget one.
 */
import type { Duplex } from "node:stream";
import { describeProblem, type RefusalCode, refusals } from "@keyhole/core";
import { discardBody } from "./discard-body.ts";
import type { Exchange } from "./exchange.ts";
import { pagePolicy, renderPage } from "./html-page.ts";

export type Facts = Readonly<Record<string, string>>;

export type ComposedAnswer = { readonly status: number; readonly headers: readonly string[]; readonly body: Buffer };

const allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** A browser that navigates asks for HTML; a script asks for JSON or anything. */
export function prefersHtml(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  return accept.split(",").some((range) => /^\s*text\/html\s*(?:;|$)/i.test(range) && !/;\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)/i.test(range));
}

/** Composes an answer: status, flat header list, body. Pure. */
export function composeAnswer(
  refusal: { readonly code: RefusalCode; readonly facts?: Facts },
  requestId: string,
  isHtml: boolean,
): ComposedAnswer {
  const problem = describeProblem(refusal, requestId);
  const body = Buffer.from(isHtml ? renderPage(problem) : JSON.stringify(problem));
  const headers = [
    "Content-Type",
    isHtml ? "text/html; charset=utf-8" : "application/problem+json",
    "Content-Length",
    String(body.length),
    "Cache-Control",
    "no-store",
    "Vary",
    "Accept",
    "X-Content-Type-Options",
    "nosniff",
    "X-Request-Id",
    requestId,
    "Access-Control-Allow-Origin",
    "*",
    "Access-Control-Allow-Methods",
    "*",
    "Access-Control-Allow-Headers",
    "*",
    "Access-Control-Expose-Headers",
    "Retry-After, X-Request-Id",
  ];
  if (isHtml) headers.push("Content-Security-Policy", pagePolicy);
  const retryAfter: number | undefined = refusalEntry(refusal.code).retryAfterSeconds;
  if (retryAfter !== undefined) headers.push("Retry-After", String(retryAfter));
  if (refusal.code === "METHOD_NOT_ALLOWED") headers.push("Allow", allowedMethods);
  return { status: problem.status, headers, body };
}

function refusalEntry(code: RefusalCode): { readonly retryAfterSeconds?: number } {
  return refusals[code];
}

/** Sends an answer of ours. A body that the visitor is still sending is read to its end, within bounds, then the connection is closed. */
export function sendAnswer(exchange: Exchange, code: RefusalCode, facts?: Facts): void {
  const { req, res } = exchange;
  if (exchange.isGone || res.headersSent || res.destroyed) {
    if (!res.writableEnded) res.destroy();
    return;
  }
  const answer = composeAnswer({ code, ...(facts === undefined ? {} : { facts }) }, exchange.requestId, prefersHtml(req.headers.accept));
  const isUnread = exchange.hasBody && !req.complete;
  res.writeHead(answer.status, isUnread ? [...answer.headers, "Connection", "close"] : [...answer.headers]);
  if (!isUnread || exchange.awaitsContinue) {
    res.end(answer.body);
    return;
  }
  // The whole answer is on its way; only its end waits, because ending closes the connection.
  if (req.method === "HEAD") res.flushHeaders();
  else res.write(answer.body);
  discardBody(req, () => res.end());
}

/** Sockets that had their last words; what still arrives on them is not worth an answer. */
const answered = new WeakSet<Duplex>();
const lastWordsMs = 500;

/** Answers where there is no request object: what the parser refused, and CONNECT. Closes the connection. */
export function writeRawAnswer(socket: Duplex, code: RefusalCode, requestId: string): void {
  if (answered.has(socket)) return;
  answered.add(socket);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const answer = composeAnswer({ code }, requestId, false);
  let head = `HTTP/1.1 ${answer.status} ${describeProblem({ code }, requestId).title}\r\nConnection: close\r\n`;
  for (let index = 0; index + 1 < answer.headers.length; index += 2) head += `${answer.headers[index]}: ${answer.headers[index + 1]}\r\n`;
  socket.on("error", () => {});
  socket.end(Buffer.concat([Buffer.from(`${head}\r\n`, "latin1"), answer.body]));
  // Bytes may still be coming in; destroying at once would reset the connection before the answer is read.
  const timer = setTimeout(() => socket.destroy(), lastWordsMs).unref();
  socket.on("close", () => clearTimeout(timer));
}
