/**
 * The end of visitors in the middle of things: of everybody whose network is blocked by now. A connection is its visitor's
 * for as long as a request of that visitor is under way on it (a proxy of ours carries one visitor after another), and its
 * peer's when there is none.
 */
import type { Socket } from "node:net";
import { printEndpoint } from "./addresses.ts";
import type { Turns } from "./turns.ts";

/**
 * Resets connections, so that nothing that is on its way arrives: of requests under way, streams and WebSockets whose visitor
 * is unwanted, and of idle visitors that are. Tells how many.
 */
export function cutVisitors(sockets: ReadonlySet<Socket>, turns: Turns, isUnwanted: (address: string) => boolean): number {
  // By the address of the far end: the connection below TLS is another object than the one that carries requests.
  const sources = new Map<string, string>();
  for (const { req, source } of turns.underWay()) {
    const endpoint = printEndpoint(req.socket.remoteAddress, req.socket.remotePort);
    // The first is under way. Who is in line behind it is looked at when it is its turn.
    if (!sources.has(endpoint)) sources.set(endpoint, source);
  }
  let count = 0;
  for (const socket of sockets) {
    const source = sources.get(printEndpoint(socket.remoteAddress, socket.remotePort)) ?? socket.remoteAddress ?? "";
    if (!isUnwanted(source)) continue;
    socket.resetAndDestroy();
    count += 1;
  }
  return count;
}
