/** HTTP as bytes, for what no client would send or answer. */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";

/** Sends the bytes on a connection of its own and resolves to everything that came back when the other side has closed it. */
export function exchangeBytes(port: number, bytes: string | Buffer, timeoutMs = 15_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const told = (): string => Buffer.concat(chunks).toString("latin1");
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection was not closed; so far: ${told().slice(0, 300)}`));
    }, timeoutMs);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(late);
      resolve(told());
    });
  });
}

/** The statuses of the answers in these bytes, in order. */
export const statusesOf = (text: string): number[] => [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map((match) => Number(match[1]));

/** An app that answers every connection with bytes, whatever it is asked. */
export async function startByteApp(answer: (socket: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
