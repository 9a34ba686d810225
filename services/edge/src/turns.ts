/**
 * The exchanges of each visitor's connection, one at a time: answers must leave in the order of their requests anyway, and
 * serving pipelined requests at once would let one cheap connection open as many of ours as fit into a packet. A connection
 * with too many waiting is closed. When a connection closes, all of its exchanges hear that their visitor left, also those
 * in line, whose own answers hear nothing.
 */
import type { Duplex } from "node:stream";
import type { Exchange } from "./exchange.ts";

/** Requests that may wait behind the one under way. No browser sends any. */
const maxWaiting = 16;

type Turn = { readonly over: () => void; work: (() => void) | undefined };

export type Turns = {
  /** The exchanges of a connection that are not over; the first is the one under way. */
  of(socket: Duplex): readonly Exchange[];
  /** Runs `work` when every former exchange of the connection is over, and never when the connection is gone by then. */
  lineUp(exchange: Exchange, work: () => void): void;
  /** Every exchange that is not over, of all connections. */
  underWay(): readonly Exchange[];
};

export function createTurns(): Turns {
  const lines = new WeakMap<Duplex, Map<Exchange, Turn>>();
  const all = new Set<Exchange>();

  const lineOf = (socket: Duplex): Map<Exchange, Turn> => {
    const known = lines.get(socket);
    if (known !== undefined) return known;
    const line = new Map<Exchange, Turn>();
    lines.set(socket, line);
    socket.once("close", () => {
      for (const { over } of [...line.values()]) over();
    });
    return line;
  };
  const begin = (turn: Turn, isLater: boolean): void => {
    const { work } = turn;
    turn.work = undefined;
    if (work === undefined) return;
    if (isLater) process.nextTick(work);
    else work();
  };

  return {
    of: (socket) => [...(lines.get(socket)?.keys() ?? [])],
    underWay: () => [...all],
    lineUp(exchange, work) {
      const { req, res } = exchange;
      const { socket } = req;
      // The parser goes on to the end of what it was given, also when the connection was closed for what came before.
      if (socket.destroyed) return;
      const line = lineOf(socket);
      const over = (): void => {
        if (!line.delete(exchange)) return;
        all.delete(exchange);
        if (!res.writableFinished) exchange.leave();
        // Ended by an answer with `Connection: close`: nobody would read what comes after it.
        if (socket.destroyed || socket.writableEnded) return;
        for (const next of line.values()) {
          begin(next, true);
          break;
        }
      };
      const turn: Turn = { over, work };
      line.set(exchange, turn);
      all.add(exchange);
      res.once("finish", over);
      res.once("close", over);
      // A write that crosses its visitor's leaving is reported here, and must not end the process.
      res.on("error", () => {});
      if (line.size > 1 + maxWaiting) socket.destroy();
      // The parser may refuse the framing of a body right after it announced the request; then that is the answer.
      else if (line.size === 1) begin(turn, exchange.hasBody);
    },
  };
}
