/** A visitor that writes its own bytes: what a library would refuse to send, and answers as they stand on the wire. */
import { connect } from "node:net";
import { awaitFact } from "./await-fact.ts";

/** A visitor's connection. */
export type RawVisitor = {
  /** Everything that came, as latin1. */
  received(): string;
  hasEnded(): boolean;
  send(text: string): void;
  /** Bytes that nobody has taken yet. */
  unsent(): number;
  [Symbol.dispose](): void;
};

/** Connects and writes `text`. Lines are joined by CRLF, and an empty line ends the head. */
export function openRawVisitor(port: number, lines: readonly string[]): RawVisitor {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  let hasEnded = false;
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => {
    received += text;
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    hasEnded = true;
  });
  socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return {
    received: () => received,
    hasEnded: () => hasEnded,
    send: (text) => {
      socket.write(text, "latin1");
    },
    unsent: () => socket.writableLength,
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** One request on a connection of its own: the whole answer, once frps has closed it. Ask with `Connection: close`. */
export async function visitRaw(port: number, lines: readonly string[]): Promise<string> {
  using visitor = openRawVisitor(port, lines);
  await awaitFact("the answer is whole", () => visitor.hasEnded(), { seen: () => visitor.received() });
  return visitor.received();
}
