/**
 * `edge.sock`: how the plugin's process drives a Node edge in another one. The far end is `connectEdge`: the runtime that
 * `createDoor` is given, with calls in batches, each in the order in which they were made. An edge that is away makes every
 * call throw `Fault("EDGE_UNREACHABLE")`; when one is there again, `onEdge` is called, so that everything is pushed.
 */
import { Fault } from "@keyhole/core";
import type { EdgeRuntime } from "@keyhole/edge";
import type { Hono } from "hono";
import { Client } from "undici";
import type { Log } from "../log.ts";
import { controlConnection, type EdgeCall, edgeBatch, edgeResults, evidenceReport, performEdgeCall } from "./edge-calls.ts";
import { createSocketClient } from "./socket-client.ts";
import { SocketFault } from "./socket-fault.ts";

/** Adds the edge's calls to what its socket serves. What comes while the edge is starting waits for it. */
export function serveEdgeCalls(app: Hono, starting: Promise<EdgeRuntime>): void {
  app.post("/calls", async (c) => {
    const batch = edgeBatch.safeParse(await c.req.json().catch(() => undefined));
    if (!batch.success) return c.json({ code: "CALLS_MALFORMED", message: batch.error.issues[0]?.message ?? "" }, 400);
    const runtime = await starting;
    const results: ({ value: unknown } | { failure: string })[] = [];
    for (const call of batch.data.calls) {
      try {
        results.push({ value: (await performEdgeCall(runtime, call)) ?? null });
      } catch (cause) {
        results.push({ failure: String(cause) });
      }
    }
    return c.json({ results });
  });
  // Never ends by itself: its end tells the plugin at once that this edge is gone.
  app.get("/watch", () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([10])) })));
}

/** A connection to the edge's process, for as long as the plugin lives. */
export type EdgeConnection = AsyncDisposable & {
  readonly runtime: EdgeRuntime;
  /** True while an edge is there. */
  isThere(): boolean;
};

/** A batch must be answered before the hook's own second is over. */
const callTimeoutMs = 500;
/** With everything in it, a batch is megabytes. */
const pushTimeoutMs = 10_000;
const retryMs = 100;
const maxBatch = 1000;

type Waiting = { readonly call: EdgeCall; resolve(value: unknown): void; reject(fault: Error): void };

/** Connects, and goes on trying. `onEdge` is called each time an edge is there that was not before; it is tried again when it throws. */
export function connectEdge(options: { readonly path: string; readonly onEdge: () => Promise<void>; readonly log: Log }): EdgeConnection {
  const { path, log } = options;
  const client = createSocketClient(path);
  const waiting: Waiting[] = [];
  let isSending = false;
  let isThere = false;
  let watcher: Client | undefined;
  const stop = new AbortController();

  async function send(): Promise<void> {
    isSending = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, maxBatch);
      const timeoutMs = batch.some(({ call }) => call.method === "replaceAll" || call.method === "keepOnly")
        ? pushTimeoutMs
        : callTimeoutMs;
      try {
        const answer = await client.call("POST", "/calls", { calls: batch.map(({ call }) => call) }, timeoutMs);
        const { results } = edgeResults.parse(answer);
        for (const [index, one] of batch.entries()) {
          const result = results[index];
          if (result !== undefined && "value" in result) one.resolve(result.value);
          else one.reject(new Error(`the edge failed: ${result?.failure ?? "no result"}`));
        }
      } catch (error) {
        const fault = asUnreachable(path, error);
        // Who waits behind would wait for the same in vain.
        batch.push(...waiting.splice(0));
        for (const one of batch) one.reject(fault);
        // It may have missed something: whoever answers next is pushed everything. A question tells it nothing.
        if (batch.some((one) => one.call.method !== "readEvidence")) await watcher?.destroy().catch(() => {});
      }
    }
    isSending = false;
  }

  const call = (one: EdgeCall): Promise<unknown> =>
    new Promise((resolve, reject) => {
      waiting.push({ call: one, resolve, reject });
      // All calls of one turn share a batch.
      if (!isSending) {
        isSending = true;
        setImmediate(() => void send());
      }
    });

  /** Holds one answer open: it begins when an edge is there, and ends with it. */
  async function watch(): Promise<void> {
    const watching = new Client("http://keyhole", { socketPath: path, bodyTimeout: 0 });
    watcher = watching;
    try {
      const { body, statusCode } = await watching.request({ path: "/watch", method: "GET", signal: stop.signal });
      if (statusCode !== 200) throw new Error(`the edge answered ${statusCode}`);
      await options.onEdge();
      isThere = true;
      log.info({ event: "edge.there" }, "the edge is there and knows everything");
      for await (const _ of body);
    } finally {
      if (isThere && !stop.signal.aborted)
        log.warn({ event: "edge.away" }, "the edge is away; changes are kept in its files until it is back");
      isThere = false;
      await watching.destroy().catch(() => {});
    }
  }

  const watched = (async () => {
    while (!stop.signal.aborted) {
      await watch().catch((cause: unknown) => log.debug({ cause: String(cause) }, "no edge yet"));
      if (!stop.signal.aborted) await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  })();

  const runtime: EdgeRuntime = {
    put: async (entry) => void (await call({ method: "put", label: entry.label, since: entry.since.toISOString() })),
    delete: async (label, { lastSeen, reason }) => void (await call({ method: "delete", label, lastSeen: lastSeen.toISOString(), reason })),
    replaceAll: async (state) =>
      void (await call({
        method: "replaceAll",
        live: state.live.map(({ label, since }) => [label, since.toISOString()] as [string, string]),
        lastSeen: [...state.lastSeen].map(([label, at]) => [label, at.toISOString()] as [string, string]),
        blocked: [...state.blocked],
        blockedNetworks: [...state.blockedNetworks],
      })),
    handOver: async (label) => void (await call({ method: "handOver", label })),
    block: async (label) => void (await call({ method: "block", label })),
    unblock: async (label) => void (await call({ method: "unblock", label })),
    blockNetwork: async (network) => void (await call({ method: "blockNetwork", network })),
    unblockNetwork: async (network) => void (await call({ method: "unblockNetwork", network })),
    cut: async (connectionId) => (await call({ method: "cut", connectionId })) === true,
    claim: async (connectionId, { holder, label }) => void (await call({ method: "claim", connectionId, holder, label })),
    release: async (connectionId) => void (await call({ method: "release", connectionId })),
    keepOnly: async (holders) => void (await call({ method: "keepOnly", holders: [...holders] })),
    claimedBy: async (holder) => {
      const id = await call({ method: "claimedBy", holder });
      return typeof id === "string" ? id : undefined;
    },
    readEvidence: async (cursor) => {
      const answer = await call({ method: "readEvidence", cursor: cursor ?? null });
      return answer === null ? undefined : evidenceReport.parse(answer);
    },
    connectionOf: async (clientAddress) => controlConnection.parse(await call({ method: "connectionOf", clientAddress })) ?? undefined,
  };

  return {
    runtime,
    isThere: () => isThere,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watcher?.destroy().catch(() => {});
      await watched;
      await client[Symbol.asyncDispose]();
    },
  };
}

/** `cause.code` is ECONNREFUSED or ENOENT when nobody is there: then nobody serves either. */
function asUnreachable(path: string, error: unknown): Fault {
  const cause = error instanceof SocketFault && error.kind === "away" ? error.cause : error;
  return new Fault(
    "EDGE_UNREACHABLE",
    `The edge cannot be reached on ${path}: ${error instanceof Error ? error.message : String(error)}.`,
    {
      cause,
    },
  );
}
