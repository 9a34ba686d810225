/**
 * Where requests go on: frps's vhost port, or the token service. One attempt ends in exactly one of these outcomes; only
 * `answered` has written anything to the visitor.
 */
import { Pool } from "undici";
import type { EdgeCounters } from "./edge-stats.ts";

export type Outcome =
  /** The answer is on its way to the visitor, or the visitor is gone. */
  | { readonly kind: "answered" }
  /** frps spoke, not the app. */
  | { readonly kind: "unmarked"; readonly status: number }
  /** No connection came up: nothing was delivered. `isAbsent`: because nobody listens there. */
  | { readonly kind: "refused"; readonly isAbsent: boolean }
  /** The connection died before an answer; the request may have been delivered. */
  | { readonly kind: "broken" }
  /** No answer in the time that apps have. */
  | { readonly kind: "timeout" }
  /** The request cannot be said in HTTP/1.1 as we speak it. */
  | { readonly kind: "unfit" }
  /** The visitor stopped sending its body. */
  | { readonly kind: "stalled" };

export type Upstream = {
  readonly pool: Pool;
  readonly host: string;
  readonly port: number;
  /** Lower case; undefined where every answer is genuine (the token service). */
  readonly marker: string | undefined;
  readonly headersTimeoutMs: number;
  /** A visitor that sends nothing of its body for so long has stalled. */
  readonly bodyStallMs: number;
  readonly counters: EdgeCounters;
};

/** A quiet stream of events lives for at least 310 s (edge.md §7); timers of undici are coarse, so a little more. */
export const quietBodyMs = 315_000;
export const connectTimeoutMs = 3000;
/** Answers with a larger header block are 502. */
export const maxAnswerHeaderBytes = 64 * 1024;

export function createUpstream(options: {
  readonly host: string;
  readonly port: number;
  readonly marker: string | undefined;
  readonly headersTimeoutMs: number;
  readonly bodyStallMs: number;
  /** Unbounded when absent: a WebSocket's neighbour, an event stream, holds its connection for hours. */
  readonly maxConnections?: number;
  readonly counters: EdgeCounters;
}): Upstream {
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  const pool = new Pool(`http://${host}:${options.port}`, {
    connections: options.maxConnections ?? null,
    pipelining: 1,
    connect: { timeout: connectTimeoutMs, noDelay: true, keepAlive: true },
    headersTimeout: options.headersTimeoutMs,
    bodyTimeout: quietBodyMs,
    keepAliveTimeout: 30_000,
    keepAliveMaxTimeout: 30_000,
    maxHeaderSize: maxAnswerHeaderBytes,
    strictContentLength: true,
  });
  return { pool, ...options };
}
