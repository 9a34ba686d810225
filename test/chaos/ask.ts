/** One HTTP request as the oracle wants to know it: how it ended, also when it broke, and whether an answer had begun. */
import { type Agent, request } from "node:http";
import type { Outcome } from "./history.ts";

/** An outcome with the whole body beside it. */
export type Asked = { readonly outcome: Outcome; readonly body: string };

/** Asks, and never rejects. Without an agent the connection is its own. */
export function ask(options: {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent?: Agent;
  readonly timeoutMs: number;
}): Promise<Asked> {
  const { port, host, path, method, body, agent, timeoutMs } = options;
  return new Promise((resolve) => {
    let hadHead = false;
    const fail = (error: unknown): void => {
      const { code, message } = error as NodeJS.ErrnoException;
      resolve({ outcome: { kind: "failed", error: code ?? message, hadHead }, body: "" });
    };
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method,
        headers: { host, ...options.headers, ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }) },
        agent: agent ?? false,
      },
      (response) => {
        hadHead = true;
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () => {
          clearTimeout(timer);
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ outcome: describeAnswer(response.statusCode ?? 0, response.headers["content-type"] ?? "", text), body: text });
        });
      },
    );
    const timer = setTimeout(() => sent.destroy(Object.assign(new Error("no answer in time"), { code: "TIMEOUT" })), timeoutMs);
    sent.on("error", (error) => {
      clearTimeout(timer);
      fail(error);
    });
    sent.end(body);
  });
}

function describeAnswer(status: number, contentType: string, text: string): Outcome {
  const fields = readJson(text);
  const { label, client, nonce, code } = fields;
  return {
    kind: "answered",
    status,
    contentType,
    ...(status === 200 && typeof label === "string" && typeof client === "string" && typeof nonce === "string"
      ? { app: { label, client, nonce } }
      : {}),
    ...(status !== 200 && typeof code === "string" ? { code } : {}),
    // What an answer of ours says is in its code; what another says must be shown, and may hold a token when it is none.
    excerpt: status === 200 || typeof code === "string" ? "" : text.slice(0, 120),
  };
}

function readJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
