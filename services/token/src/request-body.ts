/**
 * Reads a request body as one JSON object, with a cap and a deadline. It reads Node's own stream: `c.req.raw.body` and the
 * framework's body-limit build a whole undici request (a fifth of the throughput). The cap is checked against
 * Content-Length and counted as well, since a chunked body names no length. Bytes are decoded strictly: a byte order mark,
 * invalid UTF-8 or a stray NUL is not JSON.
 */
import type { IncomingMessage } from "node:http";
import { grant, refuse, type Verdict } from "@keyhole/core";

/** A request as this reader needs it: `incoming` on a listener, `stream` when the app is called without a port. */
export type BodySource = {
  header(name: string): string | undefined;
  readonly incoming: IncomingMessage | undefined;
  stream(): ReadableStream<Uint8Array> | null;
};

/** How much, and how long. */
export type BodyLimits = { readonly limitBytes: number; readonly timeoutMs: number };

const jsonType = /^application\/json[ \t]*(?:;|$)/i;

/** Reads the body. Never throws; a caller that goes away in the middle is `REQUEST_MALFORMED`, which nobody reads. */
export async function readJsonObject(source: BodySource, limits: BodyLimits): Promise<Verdict<Readonly<Record<string, unknown>>>> {
  if (!jsonType.test(source.header("content-type") ?? "")) return refuse("BODY_WRONG_TYPE", { header: "Content-Type" });
  const encoding = source.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return refuse("BODY_WRONG_TYPE", { header: "Content-Encoding" });
  if (Number(source.header("content-length") ?? 0) > limits.limitBytes) return tooLarge(limits);
  const bytes = source.incoming === undefined ? await readStream(source.stream(), limits) : await readIncoming(source.incoming, limits);
  return bytes.granted ? parseObject(bytes.value) : bytes;
}

function parseObject(bytes: Uint8Array): Verdict<Readonly<Record<string, unknown>>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return refuse("BODY_NOT_JSON");
  }
  return isObject(value) ? grant(value) : refuse("BODY_NOT_OBJECT");
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const tooLarge = (limits: BodyLimits) => refuse("BODY_TOO_LARGE", { limitBytes: limits.limitBytes });

function readIncoming(incoming: IncomingMessage, limits: BodyLimits): Promise<Verdict<Uint8Array>> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (verdict: Verdict<Uint8Array>) => {
      clearTimeout(timer);
      incoming.off("data", onData);
      incoming.off("end", onEnd);
      incoming.off("close", onClose);
      // What is left is thrown away by the adapter after the answer, for half a second at most.
      if (!incoming.readableEnded) incoming.pause();
      resolve(verdict);
    };
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > limits.limitBytes) settle(tooLarge(limits));
      else chunks.push(chunk);
    };
    const onEnd = () => settle(grant(Buffer.concat(chunks)));
    const onClose = () => settle(refuse("REQUEST_MALFORMED"));
    const timer = setTimeout(() => settle(refuse("BODY_TIMEOUT")), limits.timeoutMs);
    // Stays for good: an aborted upload emits an error after we stopped listening, and nobody else would take it.
    incoming.on("error", () => {});
    if (incoming.destroyed) return onClose();
    incoming.on("data", onData).on("end", onEnd).on("close", onClose);
  });
}

async function readStream(stream: ReadableStream<Uint8Array> | null, limits: BodyLimits): Promise<Verdict<Uint8Array>> {
  if (stream === null) return grant(new Uint8Array());
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      length += chunk.length;
      if (length > limits.limitBytes) return tooLarge(limits);
      chunks.push(chunk);
    }
  } catch {
    return refuse("REQUEST_MALFORMED");
  }
  return grant(Buffer.concat(chunks));
}
