/**
 * One attempt at one request, through undici's dispatcher: bytes go from parser to visitor without a stream in between,
 * backpressure both ways, nothing buffered, nothing decompressed. Headers are sent to the visitor only once they are known
 * to be an app's, so everything before them may be tried again; what breaks after them ends in a broken connection, never
 * in an end that looks clean.
 */
import type { Dispatcher } from "undici";
import { readAnswerHeaders, readTrailers } from "./answer-headers.ts";
import { discardBody } from "./discard-body.ts";
import { countAnswered, countAsked } from "./edge-stats.ts";
import type { Exchange } from "./exchange.ts";
import type { Passage } from "./label-traffic.ts";
import { RequestBody } from "./request-body.ts";
import type { Outcome, Upstream } from "./upstream.ts";

/** A visitor that takes nothing for so long is gone in all but name; generous, because a slow link drains in steps. */
const stallMs = 180_000;
/** frps's own pages are 489 bytes; what is longer is not worth keeping the connection for. */
const maxDroppedBytes = 16 * 1024;

/** Sends the request once. Never rejects. `passage` lets others end the attempt, and its answer. */
export function proxyRequest(exchange: Exchange, headers: readonly string[], upstream: Upstream, passage?: Passage): Promise<Outcome> {
  return new Promise((resolve) => {
    const attempt = new Attempt(exchange, upstream, passage, resolve);
    countAsked(upstream.counters, exchange);
    upstream.pool.dispatch(
      {
        path: exchange.req.url ?? "/",
        method: (exchange.req.method ?? "GET") as Dispatcher.HttpMethod,
        headers: headers as string[],
        body: attempt.body,
      },
      attempt,
    );
  });
}

class Attempt implements Dispatcher.DispatchHandler {
  readonly body: RequestBody | null;
  readonly #exchange: Exchange;
  readonly #upstream: Upstream;
  readonly #passage: Passage | undefined;
  readonly #resolve: (outcome: Outcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #isEnded = false;
  #isSettled = false;
  #isRelaying = false;
  #isHeadFlushed = false;
  #droppedBytes = 0;
  #stall: NodeJS.Timeout | undefined;
  #hasDrainListener = false;

  constructor(exchange: Exchange, upstream: Upstream, passage: Passage | undefined, resolve: (outcome: Outcome) => void) {
    this.#exchange = exchange;
    this.#upstream = upstream;
    this.#passage = passage;
    this.#resolve = resolve;
    if (passage !== undefined) {
      passage.end = () => {
        this.#isEnded = true;
        this.#controller?.abort(new Error("the label is another's now"));
      };
    }
    this.body = exchange.hasBody
      ? new RequestBody(exchange, {
          stallMs: upstream.bodyStallMs,
          count: (bytes) => {
            upstream.counters.bytesInTotal += bytes;
          },
        })
      : null;
    exchange.whenGone = () => this.#abandon();
    if (exchange.isGone) this.#abandon();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Ended before it began: not knowing its controller, it counts as a request that nobody has seen.
    if (this.#isEnded) {
      controller.abort(new Error("the label is another's now"));
      return;
    }
    this.#controller = controller;
    if (this.#exchange.isGone) controller.abort(new Error("the visitor left"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // 1xx is between two neighbours; an app's own (103) comes without the marker, and visitors need none of it.
    if (status < 200 || this.#isSettled) return;
    const { isMarked, headers } = readAnswerHeaders((controller.rawHeaders ?? []) as readonly (Buffer | string)[], {
      marker: this.#upstream.marker,
      requestId: this.#exchange.requestId,
    });
    if (this.#upstream.marker !== undefined && !isMarked) {
      this.#settle({ kind: "unmarked", status });
      // An upload that nobody reads is stopped; a short page is read to its end and the connection kept.
      if (this.body !== null && !this.body.readableEnded) controller.abort(new Error("the answer came without the app"));
      return;
    }
    const { res } = this.#exchange;
    try {
      res.sendDate = false;
      res.writeHead(status, headers);
    } catch {
      this.#settle({ kind: "broken" });
      controller.abort(new Error("the answer's head cannot be sent"));
      return;
    }
    this.#isRelaying = true;
    countAnswered(this.#upstream.counters, this.#exchange);
    this.#exchange.whenGone = () => this.#abandon();
    this.#settle({ kind: "answered" });
    // The head goes out with the first bytes of the body when they came together, and alone when they did not.
    process.nextTick(() => {
      if (!this.#isHeadFlushed && !res.writableEnded && !res.destroyed) res.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isRelaying) {
      this.#droppedBytes += chunk.length;
      if (this.#droppedBytes > maxDroppedBytes) controller.abort(new Error("not the app's answer"));
      return;
    }
    this.#isHeadFlushed = true;
    this.#upstream.counters.bytesOutTotal += chunk.length;
    const { res } = this.#exchange;
    if (res.write(chunk)) return;
    controller.pause();
    this.#stall = setTimeout(() => res.destroy(), stallMs).unref();
    if (this.#hasDrainListener) return;
    this.#hasDrainListener = true;
    res.on("drain", () => {
      clearTimeout(this.#stall);
      controller.resume();
    });
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (!this.#isRelaying) return;
    this.#isRelaying = false;
    this.#passage?.leave();
    this.#isHeadFlushed = true;
    clearTimeout(this.#stall);
    const { req, res } = this.#exchange;
    this.#exchange.whenGone = undefined;
    const raw = (controller.rawTrailers ?? []) as readonly (Buffer | string)[];
    if (raw.length > 0) addTrailers(this.#exchange, readTrailers(raw, this.#upstream.marker));
    res.end();
    if (this.body === null || req.complete) {
      if (this.body !== null) req.resume();
      return;
    }
    // The app answered before it had read everything. The connection is kept only when the rest comes soon.
    discardBody(req, (isWhole) => {
      if (!isWhole) req.socket.destroy();
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#stall);
    this.#passage?.leave();
    if (this.#isRelaying) {
      this.#isRelaying = false;
      this.#exchange.whenGone = undefined;
      breakOff(this.#exchange);
      return;
    }
    this.#settle(this.#classify(error));
  }

  #classify(error: Error): Outcome {
    if (this.#exchange.isGone) return { kind: "answered" };
    if (this.body?.hasStalled === true) return { kind: "stalled" };
    const code = "code" in error ? error.code : undefined;
    if (code === "UND_ERR_INVALID_ARG" || code === "UND_ERR_NOT_SUPPORTED" || code === "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH") {
      return { kind: "unfit" };
    }
    if (code === "UND_ERR_HEADERS_TIMEOUT") return { kind: "timeout" };
    return this.#controller === undefined ? { kind: "refused", isAbsent: code === "ECONNREFUSED" } : { kind: "broken" };
  }

  /** The visitor left: the app is told by a broken connection. */
  #abandon(): void {
    clearTimeout(this.#stall);
    this.#isRelaying = false;
    this.#passage?.leave();
    this.#controller?.abort(new Error("the visitor left"));
    this.body?.destroy(new Error("the visitor left"));
    this.#settle({ kind: "answered" });
  }

  #settle(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if (!this.#isRelaying) this.#exchange.whenGone = undefined;
    this.#resolve(outcome);
  }
}

function addTrailers(exchange: Exchange, trailers: [string, string][]): void {
  try {
    exchange.res.addTrailers(trailers);
  } catch {
    // A trailer that Node will not send is worth less than the answer it follows.
  }
}

/**
 * Ends an answer that is not complete so that nobody takes it for complete. To an HTTP/1.0 visitor the end of the
 * connection is the end of the body, so there it must be a reset.
 */
export function breakOff(exchange: Exchange): void {
  const { socket, httpVersionMinor } = exchange.req;
  if (httpVersionMinor === 0 && !socket.destroyed) {
    try {
      socket.resetAndDestroy();
    } catch {
      // TLS has no reset; its missing close_notify says the same.
    }
  }
  exchange.res.destroy();
}
