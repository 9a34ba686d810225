/** Asks the admin API on the plugin's socket, with Node's own client: a command should be over in less than a second. */
import { request } from "node:http";
import { asSocketFault, SocketFault } from "../sockets/socket-fault.ts";

/** An answer: its status, and the JSON in it. */
export type AdminAnswer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

/** How long the plugin may take to answer: it writes to disk, and waits for the edge for a second at most. */
const timeoutMs = 5000;

/** Asks once. Rejects with a `SocketFault` when there was no answer, or none of ours. */
export function askAdmin(
  path: string,
  order: {
    readonly method: "GET" | "POST" | "DELETE";
    readonly target: string;
    readonly body?: object;
    /** Whom the events name. */
    readonly orderer: string;
  },
): Promise<AdminAnswer> {
  const { method, target, orderer } = order;
  const text = order.body === undefined ? undefined : JSON.stringify(order.body);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        socketPath: path,
        method,
        path: target,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          Host: "keyhole",
          "Keyhole-Operator": orderer,
          ...(text === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", (cause) => reject(asSocketFault(path, cause)));
        response.on("end", () => {
          const body = parseObject(Buffer.concat(chunks).toString("utf8"));
          if (body !== undefined) resolve({ status: response.statusCode ?? 0, body });
          else
            reject(
              new SocketFault("refused", `${target} on ${path} was answered with ${response.statusCode}, and not as the admin API does`),
            );
        });
      },
    );
    sent.on("error", (cause) => reject(asSocketFault(path, cause)));
    sent.end(text);
  });
}

function parseObject(text: string): AdminAnswer["body"] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
