/**
 * Reads a request body as one JSON object, with a cap and a deadline. It reads Node's own stream: `c.req.raw.body` and the
 * framework's body-limit build a whole undici request (a fifth of the throughput). The cap is checked against
 * Content-Length and counted as well, since a chunked body names no length. Bytes are decoded strictly: a byte order mark,
 * invalid UTF-8 or a stray NUL is not JSON, and a field that stands twice is refused by its name.
 */
import type { IncomingMessage } from "node:http";
import { grant, parseStrictJson, refuse, type Verdict } from "@keyhole/core";

/** A request as this reader needs it: `incoming` on a listener, `stream` when the app is called without a port. */
export type BodySource = {
  header(name: string): string | undefined;
  readonly incoming: IncomingMessage | undefined;
  stream(): ReadableStream<Uint8Array> | null;
};

/** How much, how long, and whether no body at all is as good as `{}`: it is, where the proof may lie in a header. */
export type BodyLimits = { readonly limitBytes: number; readonly timeoutMs: number; readonly mayBeEmpty?: boolean };

/** One JSON object, and the bytes that it was. */
export type RequestBody = { readonly fields: Readonly<Record<string, unknown>>; readonly bytes: Uint8Array };

const jsonType = /^application\/json[ \t]*(?:;|$)/i;
/** Of a field's name, this much is repeated in a refusal. */
const toldNameLength = 64;

/** Reads the body. Never throws; a caller that goes away in the middle is `REQUEST_MALFORMED`, which nobody reads. */
export async function readJsonObject(source: BodySource, limits: BodyLimits): Promise<Verdict<RequestBody>> {
  const isJson = jsonType.test(source.header("content-type") ?? "");
  if (!isJson && limits.mayBeEmpty !== true) return refuse("CONTENT_TYPE_UNSUPPORTED");
  const encoding = source.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return refuse("CONTENT_ENCODING_UNSUPPORTED");
  if (Number(source.header("content-length") ?? 0) > limits.limitBytes) return tooLarge(limits);
  const bytes = source.incoming === undefined ? await readStream(source.stream(), limits) : await readIncoming(source.incoming, limits);
  if (!bytes.granted) return bytes;
  if (limits.mayBeEmpty === true && bytes.value.length === 0) return grant({ fields: {}, bytes: bytes.value });
  return isJson ? parseObject(bytes.value) : refuse("CONTENT_TYPE_UNSUPPORTED");
}

/** A field that must not be there, as a refusal may name it. */
export const tellField = (name: string): { readonly field: string } => ({ field: name.slice(0, toldNameLength) });

function parseObject(bytes: Uint8Array): Verdict<RequestBody> {
  const json = parseStrictJson(bytes);
  if (json.kind === "not-json") return refuse("BODY_INVALID_JSON");
  if (json.kind === "duplicate") return refuse("BODY_DUPLICATE_KEY", tellField(json.name));
  return isObject(json.value) ? grant({ fields: json.value, bytes }) : refuse("BODY_NOT_OBJECT");
}
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const tooLarge = (limits: BodyLimits) => refuse("BODY_TOO_LARGE", { limitBytes: limits.limitBytes });

function readIncoming(incoming: IncomingMessage, limits: BodyLimits): Promise<Verdict<Uint8Array>> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let timer: NodeJS.Timeout | undefined;
    let isSettled = false;
    const settle = (verdict: Verdict<Uint8Array>) => {
      isSettled = true;
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
    // A body that came with its headers is whole when this runs, and needs no deadline.
    queueMicrotask(() => {
      if (!isSettled && !incoming.complete) timer = setTimeout(() => settle(refuse("BODY_TIMEOUT")), limits.timeoutMs);
    });
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
