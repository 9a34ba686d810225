/** Requests as inputs: one line of JSON for the head, then the body as it is. */
import { type Agent, request as requestHttp } from "node:http";
import type { HttpAnswer } from "./answer-rules.ts";

/** What is sent. Names of headers are lower case. */
export type WireRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** The request as an input. */
export function requestOf({ body, ...head }: WireRequest): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body]);
}

/** The input as a request. One that was cut up is asked for as far as it goes. */
export function readRequest(input: Uint8Array): WireRequest {
  const bytes = Buffer.from(input);
  const end = bytes.indexOf("\n");
  const body = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 1);
  let head: Partial<WireRequest>;
  try {
    head = JSON.parse(bytes.subarray(0, end < 0 ? bytes.length : end).toString("utf8")) as Partial<WireRequest>;
  } catch {
    head = {};
  }
  const headers = Object.entries(head.headers ?? {}).filter(
    ([name, value]) => /^[a-z-]+$/.test(name) && typeof value === "string" && /^[\t\x20-\x7e]*$/.test(value),
  );
  const method = typeof head.method === "string" && /^[A-Z]+$/.test(head.method) ? head.method : "POST";
  const path = typeof head.path === "string" && /^\/[\x21-\x7e]*$/.test(head.path) ? head.path : "/";
  return { method, path, headers: Object.fromEntries(headers), body };
}

/** Asks over a kept connection. Rejects when there is no whole answer within 20 s: then the listener is in trouble. */
export function askHttp(port: number, { method, path, headers, body }: WireRequest, agent: Agent): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = requestHttp(
      { host: "127.0.0.1", port, method, path, agent, headers: { ...headers, "content-length": String(body.length) }, timeout: 20_000 },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
          resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), text: Buffer.concat(chunks).toString("utf8") });
        });
      },
    );
    request.on("timeout", () => request.destroy(new Error("there was no answer within 20 s")));
    request.on("error", reject);
    request.end(body);
  });
}
