/**
 * One visitor's request while it is with us: what the rules need to know about it, and whether its visitor is still there.
 * The one question that matters for a second attempt is answered here: may it be sent again?
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Waiting } from "./label-states.ts";

export class Exchange implements Waiting {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  /** The visitor's address. */
  readonly source: string;
  /** When its head was parsed, by the monotonic clock. */
  readonly arrivedMs: number;
  readonly hasBody: boolean;
  /** The visitor waits for `100 Continue` before it sends the body. */
  awaitsContinue: boolean;
  /** Some of the body has been taken from the visitor: it cannot be sent a second time. */
  isBodyTaken = false;
  /** Somebody behind the edge was asked. */
  isAsked = false;
  isGone = false;
  whenGone: (() => void) | undefined = undefined;

  constructor(parts: {
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly requestId: string;
    readonly source: string;
    readonly arrivedMs: number;
    readonly hasBody: boolean;
    readonly awaitsContinue: boolean;
  }) {
    this.req = parts.req;
    this.res = parts.res;
    this.requestId = parts.requestId;
    this.source = parts.source;
    this.arrivedMs = parts.arrivedMs;
    this.hasBody = parts.hasBody;
    this.awaitsContinue = parts.awaitsContinue;
  }

  /** The visitor left before its answer was complete. */
  leave(): void {
    if (this.isGone) return;
    this.isGone = true;
    const told = this.whenGone;
    this.whenGone = undefined;
    told?.();
  }

  /** A GET, HEAD or OPTIONS without a body: sent a second time, it does no harm. */
  get changesNothing(): boolean {
    return !this.hasBody && (this.req.method === "GET" || this.req.method === "HEAD" || this.req.method === "OPTIONS");
  }

  /**
   * May be sent again although an app may have seen it: what changes nothing may, and a request whose body is still with
   * us cannot have been acted upon (undici sends the head with the first byte of the body). A POST or DELETE without a body
   * is whole once its head is sent, so it is not repeated.
   */
  get isRepeatable(): boolean {
    return this.hasBody ? !this.isBodyTaken : this.changesNothing;
  }

  /** Resolves when the time is over, or at once when the visitor leaves. */
  pause(ms: number): Promise<void> {
    if (this.isGone) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.whenGone = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.whenGone = done;
    });
  }
}
