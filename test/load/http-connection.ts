/**
 * A load generator's HTTP/1.1 connection: writes a request that was rendered before, reads as much of the answer as tells
 * where it ends, nothing more. A client library would cost more than what is measured.
 */
import { connect, type Socket } from "node:net";

/** A status, and the body if it was asked for. */
type Answer = { readonly status: number; readonly body: string };

/** One kept connection. One request at a time. */
export type HttpConnection = {
  /** Sends a whole request and resolves when the whole answer is there. Rejects when the connection ends before. */
  send(request: Buffer): Promise<Answer>;
  readonly isOpen: () => boolean;
  close(): void;
};

/** Renders a request once, to be sent many times. */
export function renderRequest(options: {
  readonly host: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}): Buffer {
  const { host, method = "GET", path = "/", headers = {}, body } = options;
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  if (body !== undefined) lines.push("content-type: application/json", `content-length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`, "utf8");
}

/** Connects to loopback. Bodies are kept only if `keepsBody`. */
export async function openHttpConnection(port: number, options: { readonly keepsBody?: boolean } = {}): Promise<HttpConnection> {
  const socket: Socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  let waiting: PromiseWithResolvers<Answer> | undefined;
  let received: Buffer = Buffer.alloc(0);

  const fail = (error: Error): void => {
    waiting?.reject(error);
    waiting = undefined;
  };
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the connection was closed before the answer was whole")));
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const answer = readAnswer(received, options.keepsBody === true);
    if (answer === undefined) return;
    if (answer === "endless") return void socket.destroy(new Error("an answer that does not tell its length"));
    const done = waiting;
    waiting = undefined;
    received = Buffer.alloc(0);
    done?.resolve(answer);
  });
  return {
    send(request) {
      if (socket.destroyed) return Promise.reject(new Error("the connection is closed"));
      waiting = Promise.withResolvers<Answer>();
      socket.write(request);
      return waiting.promise;
    },
    isOpen: () => !socket.destroyed && socket.writable,
    close: () => socket.destroy(),
  };
}

/** Undefined while bytes are missing. */
function readAnswer(received: Buffer, keepsBody: boolean): Answer | "endless" | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = received.toString("latin1", 0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyStart = headEnd + 4;
  const length = /\r\ncontent-length: *([0-9]+)/i.exec(head)?.[1];
  if (length === undefined) {
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return "endless";
    if (received.toString("latin1", Math.max(received.length - 5, bodyStart)) !== "0\r\n\r\n") return undefined;
    return { status, body: keepsBody ? received.toString("utf8", bodyStart) : "" };
  }
  const end = bodyStart + Number(length);
  if (received.length < end) return undefined;
  return { status, body: keepsBody ? received.toString("utf8", bodyStart, end) : "" };
}
