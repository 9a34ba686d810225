/**
 * One request as the public sends it: through the edge, with the public Host. It dials the edge itself, because not every
 * resolver knows `*.localhost`.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

/** Where visitors come in, dialled on this machine. `localAddress`: whom the edge takes us for. */
export type EdgeAddress = { readonly host: string; readonly port: number; readonly isHttps: boolean; readonly localAddress?: string };

/** The address that reaches whoever listens on `host`. */
export const dialAddress = (host: string): string => (host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host);

/** What came back. `body` is at most 1 MB. */
export type PublicAnswer = { readonly status: number; readonly body: string };

/** Sends the request. Rejects when the edge cannot be reached or does not answer within `timeoutMs`. */
export async function requestPublic(options: {
  readonly edge: EdgeAddress;
  readonly host: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}): Promise<PublicAnswer> {
  const { edge, host, path, method = "GET", headers = {}, body, timeoutMs, signal = new AbortController().signal } = options;
  const send = edge.isHttps ? requestHttps : requestHttp;
  return await new Promise((resolve, reject) => {
    const request = send(
      {
        host: edge.host,
        port: edge.port,
        ...(edge.localAddress === undefined ? {} : { localAddress: edge.localAddress }),
        path,
        method,
        headers: { Host: host, ...headers },
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        // Our own check of our own edge on this machine: the certificate's name is the public one, judged by browsers.
        rejectUnauthorized: false,
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > 1_000_000) response.destroy(new Error("the answer is larger than expected"));
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on("error", reject);
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
