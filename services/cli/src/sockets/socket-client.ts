/** Asks a part on its socket. */
import { Client, errors } from "undici";
import { asSocketFault, codeOf, SocketFault } from "./socket-fault.ts";

/** A connection to one part; opened when it is used, and again after the part was restarted. */
export type SocketClient = AsyncDisposable & {
  /** Resolves to the JSON of the answer. Rejects with a `SocketFault` only. One call at a time; others wait their turn. */
  call(method: "GET" | "POST", path: string, body?: unknown, timeoutMs?: number): Promise<unknown>;
};

const defaultTimeoutMs = 1000;
/** Makes the client of a socket. Nothing is opened until the first call. */
export function createSocketClient(path: string): SocketClient {
  const client = new Client("http://keyhole", { socketPath: path, pipelining: 1, keepAliveTimeout: 60_000 });

  async function attempt(method: "GET" | "POST", target: string, body: string | undefined, timeoutMs: number): Promise<unknown> {
    const answer = await client.request({
      path: target,
      method,
      ...(body === undefined ? {} : { body, headers: { "content-type": "application/json" } }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200)
      throw new SocketFault("refused", `${target} on ${path} was answered with ${answer.statusCode}: ${text.slice(0, 500)}`);
    return JSON.parse(text);
  }

  return {
    async call(method, target, body, timeoutMs = defaultTimeoutMs) {
      const text = body === undefined ? undefined : JSON.stringify(body);
      try {
        // Every call of ours may be made twice. A kept connection that the part closed while it was restarted is not a word about the part.
        return await attempt(method, target, text, timeoutMs).catch((error: unknown) => {
          if (error instanceof errors.SocketError || codeOf(error) === "ECONNRESET" || codeOf(error) === "EPIPE")
            return attempt(method, target, text, timeoutMs);
          throw error;
        });
      } catch (cause) {
        throw cause instanceof SocketFault ? cause : asSocketFault(path, cause);
      }
    },
    async [Symbol.asyncDispose]() {
      await client.destroy();
    },
  };
}
