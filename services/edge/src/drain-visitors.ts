/**
 * The end of the visitors' port without the end of its visitors. `http.Server.close()` at once closes every connection that
 * has not yet *received* a request, although its bytes may be on the way; so only accepting is stopped, and each connection
 * is given the time to bring its request and to read an answer that says `Connection: close`. What is idle goes soon, what
 * is under way has until the grace, and nobody holds the end up any longer, however slowly it sends or reads.
 */

import type { Server } from "node:http";
import type { Socket } from "node:net";
import { Server as TcpServer } from "node:net";
import { printEndpoint } from "./addresses.ts";
import type { Turns } from "./turns.ts";

/** A connection on which nothing has happened for so long is idle: nobody is about to send on it. */
const idleMs = 500;
/** So many looks a connection may stay silent that has never brought a request: its visitor has only just come, and may be slow. */
const newcomerLooks = 4;

/**
 * Stops accepting, and resolves when the last of the connections is closed: at once when there is none, at most after
 * `graceMs`. A listening socket that somebody else holds too goes on queueing.
 */
export async function drainVisitors(server: Server, sockets: ReadonlySet<Socket>, turns: Turns, graceMs: number): Promise<void> {
  const drained = new Promise<void>((resolve) => {
    TcpServer.prototype.close.call(server, () => resolve());
  });
  for (const { res } of turns.underWay()) res.shouldKeepAlive = false;

  /** What was idle when we last looked: how much it had sent by then, and at how many looks in a row. */
  let idle = new Map<Socket, { readonly bytesRead: number; readonly looks: number }>();
  const look = (): void => {
    // By the address of the far end: the connection below TLS is another object than the one that carries requests.
    const busy = new Set(turns.underWay().map(({ req }) => printEndpoint(req.socket.remoteAddress, req.socket.remotePort)));
    const still: typeof idle = new Map();
    for (const socket of sockets) {
      if (busy.has(printEndpoint(socket.remoteAddress, socket.remotePort))) continue;
      const { bytesRead } = socket;
      const before = idle.get(socket);
      const looks = before?.bytesRead === bytesRead ? before.looks + 1 : 0;
      if (looks >= (bytesRead === 0 ? newcomerLooks : 1)) socket.destroy();
      else still.set(socket, { bytesRead, looks });
    }
    idle = still;
  };
  look();
  // After the sockets were read once more: a request that has arrived is served, not reset.
  const looking = setInterval(() => setImmediate(look), Math.min(idleMs, graceMs));
  const over = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, graceMs);
  await drained;
  clearInterval(looking);
  clearTimeout(over);
  // Only now what else belongs to an HTTP server: its check for slow headers was needed until here.
  server.close();
}
