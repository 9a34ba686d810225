/** Asks a part on its socket. */
import { Client, errors } from "undici";

/**
 * Why there was no answer. `away`: nobody listens, so the part is not running. `silent`: it runs, or ran, and did not
 * answer. `forbidden`: this user may not ask. `refused`: it answered, and would not.
 */
export class SocketFault extends Error {
  override readonly name = "SocketFault";
  readonly kind: "away" | "silent" | "forbidden" | "refused";

  constructor(kind: SocketFault["kind"], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** A connection to one part; opened when it is used, and again after the part was restarted. */
export type SocketClient = AsyncDisposable & {
  /** Resolves to the JSON of the answer. Rejects with a `SocketFault` only. One call at a time; others wait their turn. */
  call(method: "GET" | "POST", path: string, body?: unknown, timeoutMs?: number): Promise<unknown>;
};

const defaultTimeoutMs = 1000;
/** Codes of a connection that could not be made, because nobody is there. */
const awayCodes = new Set(["ECONNREFUSED", "ENOENT", "ENOTDIR"]);

const descriptions = { away: "is not served", forbidden: "may not be used by this user", silent: "did not answer" } as const;

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
        if (cause instanceof SocketFault) throw cause;
        const code = codeOf(cause);
        const kind = awayCodes.has(code ?? "") ? "away" : code === "EACCES" || code === "EPERM" ? "forbidden" : "silent";
        throw new SocketFault(kind, `${path} ${descriptions[kind]} (${code ?? String(cause)})`, { cause });
      }
    },
    async [Symbol.asyncDispose]() {
      await client.destroy();
    },
  };
}

const codeOf = (error: unknown): string | undefined => {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : undefined;
};
