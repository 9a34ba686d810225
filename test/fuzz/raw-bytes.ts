/** Bytes at a port, whatever they are, and what comes back until the other side has nothing more to say. */
import { connect } from "node:net";
import type { HttpAnswer } from "./answer-rules.ts";
import { broken, type Outcome } from "./surface.ts";

const patienceMs = 20_000;

/** Writes the bytes, says that this was all, and judges each answer with a body. */
export async function talkRaw(port: number, bytes: Uint8Array, judge: (answer: HttpAnswer) => Outcome): Promise<Outcome> {
  const said = await exchange(port, bytes);
  if (said === undefined) return broken("no-end", "answer", `the connection was still open after ${patienceMs} ms`);
  if (said.length === 0) return { code: "closed" };
  const answers = splitAnswers(said);
  if (answers === undefined)
    return broken("no-http", "answer", `what came back is no HTTP: ${JSON.stringify(said.subarray(0, 200).toString("latin1"))}`);
  let code = "cut";
  for (const answer of answers) {
    if (answer.status >= 500) return broken(String(answer.status), "answer", `${answer.status} ${answer.text.slice(0, 200)}`);
    if (answer.text === "" || answer.status === 100) continue;
    const outcome = judge(answer);
    if (outcome.problem !== undefined) return outcome;
    code = `${answer.status} ${outcome.code}`;
  }
  return { code };
}

/** True when a well-formed request still gets an answer. */
export async function stillAnswers(port: number): Promise<boolean> {
  const said = await exchange(port, Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  return said?.subarray(0, 9).toString() === "HTTP/1.1 ";
}

function exchange(port: number, bytes: Uint8Array): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1" });
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(undefined);
    }, patienceMs);
    const settle = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    };
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    // A reset is an answer too: what it came with counts.
    socket.on("error", settle);
    socket.on("close", settle);
    socket.end(bytes);
  });
}

/** Answers one after the other, by their Content-Length or their chunks. Undefined for what is no HTTP/1.1. */
function splitAnswers(said: Buffer): HttpAnswer[] | undefined {
  const answers: HttpAnswer[] = [];
  let rest = said;
  while (rest.length > 0) {
    const end = rest.indexOf("\r\n\r\n");
    const [line = "", ...fields] = rest
      .subarray(0, end < 0 ? rest.length : end)
      .toString("latin1")
      .split("\r\n");
    const status = /^HTTP\/1\.1 ([1-5][0-9]{2}) /.exec(line)?.[1];
    if (status === undefined) return undefined;
    const headers = Object.fromEntries(
      fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()]),
    );
    const content = end < 0 ? Buffer.alloc(0) : rest.subarray(end + 4);
    // Without a length, an answer with a body goes on until the connection ends.
    const isOpenEnded = headers["connection"] === "close" && status !== "204" && status !== "304";
    const length = Number(headers["content-length"] ?? (isOpenEnded ? content.length : 0));
    const isChunked = headers["transfer-encoding"] === "chunked";
    const { text, used } = isChunked
      ? readChunks(content)
      : { text: content.subarray(0, length).toString("utf8"), used: Math.min(length, content.length) };
    // A connection that was cut in the middle of an answer has said half of it.
    answers.push({ status: Number(status), headers, text: !isChunked && content.length < length ? "" : text });
    rest = content.subarray(used);
  }
  return answers;
}

function readChunks(content: Buffer): { text: string; used: number } {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < content.length) {
    const end = content.indexOf("\r\n", at);
    const length = end < 0 ? Number.NaN : Number.parseInt(content.subarray(at, end).toString("latin1"), 16);
    if (Number.isNaN(length)) return { text: "", used: content.length };
    parts.push(content.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
    if (length === 0) break;
  }
  return { text: Buffer.concat(parts).toString("utf8"), used: at };
}
