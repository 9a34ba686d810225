/**
 * A request's body as one attempt sees it: read from the visitor only when frps takes it, never ahead, and never taking the
 * visitor's connection down with it (an `IncomingMessage` given to undici would: it destroys what it was given). A body
 * that stalls ends the attempt.
 */
import { Readable } from "node:stream";
import type { Exchange } from "./exchange.ts";

export class RequestBody extends Readable {
  hasStalled = false;
  readonly #exchange: Exchange;
  readonly #count: (bytes: number) => void;
  readonly #stallMs: number;
  #isAttached = false;
  #timer: NodeJS.Timeout | undefined;

  /** A visitor that sends nothing for `stallMs`, while we wait for its body, is gone in all but name. */
  constructor(exchange: Exchange, options: { readonly stallMs: number; readonly count: (bytes: number) => void }) {
    super({ highWaterMark: 64 * 1024 });
    this.#exchange = exchange;
    this.#count = options.count;
    this.#stallMs = options.stallMs;
    // undici listens only while it uses the body; an end before or after that must not end the process.
    this.on("error", () => {});
  }

  override _read(): void {
    const { req, res } = this.#exchange;
    if (this.#exchange.awaitsContinue) {
      this.#exchange.awaitsContinue = false;
      res.writeContinue();
    }
    if (!this.#isAttached) {
      this.#isAttached = true;
      req.on("data", this.#onData).on("end", this.#onEnd).on("close", this.#onClose).on("error", this.#onClose);
      if (req.readableEnded) {
        this.#onEnd();
        return;
      }
      if (req.destroyed) {
        this.#onClose();
        return;
      }
    }
    if (this.#timer === undefined) this.#timer = setTimeout(this.#onStall, this.#stallMs).unref();
    else this.#timer.refresh();
    req.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    const { req } = this.#exchange;
    req.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose).off("error", this.#onClose);
    // Whoever answers decides what becomes of the rest: `discardBody`.
    if (this.#isAttached && !req.destroyed) req.pause();
    callback(error);
  }

  #onData = (chunk: Buffer): void => {
    this.#exchange.isBodyTaken = true;
    this.#count(chunk.length);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.push(chunk)) this.#exchange.req.pause();
  };

  #onEnd = (): void => {
    clearTimeout(this.#timer);
    this.push(null);
  };

  #onClose = (): void => {
    if (this.#exchange.req.complete && this.readableEnded) return;
    this.destroy(new Error("the visitor left before its body was complete"));
  };

  #onStall = (): void => {
    this.hasStalled = true;
    this.destroy(new Error("the visitor's body stalled"));
  };
}
