/**
 * What stock frpc never sends: a connection to bindPort that opens one yamux stream and begins it with any message of frp's
 * wire v1 (frp's pkg/msg/msg.go). What comes back on the stream is kept as bytes.
 */
import { connect } from "node:net";
import { createMuxReader, encodeFirstStream, encodeMessage } from "../../src/wire.ts";

/** The type bytes of a work connection's first message, and of what frps tells it when a visitor is there. */
export const newWorkConnType = 0x77;
export const startWorkConnType = 0x73;

/** The stream. */
export type RawStream = {
  received(): Buffer;
  hasEnded(): boolean;
  send(bytes: Buffer): void;
  [Symbol.dispose](): void;
};

/** Opens it. Errors of the connection are an end. */
export function openRawStream(port: number, message: { readonly type: number; readonly content: object }): RawStream {
  const socket = connect(port, "127.0.0.1");
  const readMux = createMuxReader();
  let received = Buffer.alloc(0);
  let hasEnded = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    hasEnded = true;
  });
  socket.on("data", (chunk: Buffer) => {
    const step = readMux(chunk);
    if (step.reply.length > 0) socket.write(step.reply);
    received = Buffer.concat([received, step.payload]);
    hasEnded ||= step.hasEnded;
  });
  socket.write(encodeFirstStream(encodeMessage(message.type, message.content)));
  return {
    received: () => received,
    hasEnded: () => hasEnded,
    send: (bytes) => {
      const header = Buffer.alloc(12);
      header.writeUInt32BE(1, 4);
      header.writeUInt32BE(bytes.length, 8);
      socket.write(Buffer.concat([header, bytes]));
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}
