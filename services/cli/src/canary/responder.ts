/** What the canary's tunnel leads to: a few lines that answer a question which nobody else can. */
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A running responder on loopback. */
export type Responder = AsyncDisposable & {
  readonly port: number;
  /** What it answers to `GET /<question>`. */
  answerTo(question: string): string;
};

const questionForm = /^\/([A-Za-z0-9_-]{22})$/;
/** Nobody knows its address; whoever found it gets no more than this. */
const maxConnections = 16;

/** Starts it on a free port. An answer proves that this very process was reached: the secret never leaves it. */
export async function startResponder(secret: Uint8Array): Promise<Responder> {
  const answerTo = (question: string): string => createHmac("sha256", secret).update(question).digest("base64url");
  const server = createServer((request, response) => {
    const question = questionForm.exec(request.url ?? "")?.[1];
    response.writeHead(question === undefined ? 404 : 200, { "Content-Type": "text/plain", "Cache-Control": "no-store" });
    response.end(question === undefined ? "" : answerTo(question));
  });
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    answerTo,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
