/**
 * The floor: node:http and nothing behind it. Answers GET as a person's app does, and POST as the least that could call
 * itself a JSON service: body read, parsed, a small JSON answer.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort } from "node:worker_threads";
import { answerThreadQuestions } from "./thread-figures.ts";

/** What it tells when it is ready. */
export type FloorTold = { readonly port: number };

const page = Buffer.from("hello from the app\n");

answerThreadQuestions();
const server = createServer({ keepAliveTimeout: 95_000 }, (request, response) => {
  if (request.method === "GET") {
    return void response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": page.length }).end(page);
  }
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as object;
    const answer = Buffer.from(JSON.stringify({ reject: false, unchange: Object.keys(body).length > 0 }));
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": answer.length }).end(answer);
  });
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  const told: FloorTold = { port: (server.address() as AddressInfo).port };
  parentPort?.postMessage(told);
});
