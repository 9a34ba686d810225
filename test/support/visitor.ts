/** A builder's request: to the edge, with the public Host. */
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { recordTokensOf } from "./test-record.ts";

/** What came back. */
export type Visit = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string; readonly ms: number };

/** Sends one request on a connection of its own (or the agent's) and reads the whole answer. */
export async function visit(
  port: number,
  host: string,
  options: {
    readonly path?: string;
    readonly method?: string;
    readonly headers?: Record<string, string>;
    readonly body?: string | Buffer;
    readonly agent?: Agent;
    readonly timeoutMs?: number;
  } = {},
): Promise<Visit> {
  const { path = "/", method = "GET", headers = {}, body, agent, timeoutMs = 20_000 } = options;
  const startedAt = performance.now();
  return await new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method,
        headers: { host, ...headers },
        agent: agent ?? false,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          if (path.startsWith("/v1/tunnel/token")) recordTokensOf(text);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, ms: performance.now() - startedAt });
        });
        response.on("error", reject);
      },
    );
    sent.on("error", (error: NodeJS.ErrnoException) => {
      // A kept connection may be closed by the other side just when it is used again. Every client sends once more then (RFC 9112 §9.3.1).
      if (sent.reusedSocket && error.code === "ECONNRESET" && method === "GET") {
        const { agent: _, ...again } = options;
        resolve(visit(port, host, again));
      } else reject(error);
    });
    sent.end(body);
  });
}

/** Keeps asking at a steady pace until stopped; every answer and every failure is kept. */
export function startVisiting(
  port: number,
  host: string,
  options: { readonly everyMs: number; readonly paths?: readonly string[]; readonly timeoutMs?: number },
): { readonly visits: (Visit | Error)[]; stop(): Promise<void> } {
  const { paths = ["/"] } = options;
  let sent = 0;
  const nextPath = (): string => {
    sent += 1;
    return paths[sent % paths.length] ?? "/";
  };
  const visits: (Visit | Error)[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 100 });
  const pending = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const one = visit(port, host, { agent, path: nextPath(), timeoutMs: options.timeoutMs ?? 20_000 }).then(
      (answer) => void visits.push(answer),
      (error: unknown) => void visits.push(error instanceof Error ? error : new Error(String(error))),
    );
    pending.add(one);
    void one.finally(() => pending.delete(one));
  }, options.everyMs);
  return {
    visits,
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      agent.destroy();
    },
  };
}
