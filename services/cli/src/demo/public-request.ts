/**
 * One request as the public sends it: through the edge, with the public Host. It dials the edge itself, because not every
 * resolver knows `*.localhost`.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

/** What came back. `body` is at most 1 MB. */
export type PublicAnswer = { readonly status: number; readonly body: string };

/** Sends the request. Rejects when the edge cannot be reached or does not answer within `timeoutMs`. */
export async function requestPublic(options: {
  readonly edge: { readonly host: string; readonly port: number; readonly isHttps: boolean };
  readonly host: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
}): Promise<PublicAnswer> {
  const { edge, host, path, method = "GET", headers = {}, body, timeoutMs } = options;
  const send = edge.isHttps ? requestHttps : requestHttp;
  return await new Promise((resolve, reject) => {
    const request = send(
      {
        host: edge.host,
        port: edge.port,
        path,
        method,
        headers: { Host: host, ...headers },
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
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
