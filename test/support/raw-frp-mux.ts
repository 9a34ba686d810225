/**
 * yamux, the client's side, for the raw frp client: as many streams as a test likes, flow control honoured, pings answered
 * (or not, when that is what is tried). Frames are a 12-byte header {version 0, type, flags u16, stream u32, length u32}.
 */
import { Duplex } from "node:stream";

const frame = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;
const flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;
/** Of a stream nobody has granted more for (yamux's initialStreamWindow). */
const initialWindow = 256 * 1024;
const maxFrameData = 64 * 1024;

/** One header; `version` is there to be wrong. */
export function encodeMuxHeader(type: keyof typeof frame, flags: number, stream: number, length: number, version = 0): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(version, 0);
  header.writeUInt8(frame[type], 1);
  header.writeUInt16BE(flags, 2);
  header.writeUInt32BE(stream, 4);
  header.writeUInt32BE(length, 8);
  return header;
}

/** The bytes of a stream being opened. */
export const encodeMuxOpen = (stream: number): Buffer => encodeMuxHeader("windowUpdate", flag.syn, stream, 0);

/** Streams over one connection. A stream ends with the connection. */
export type RawMux = { openStream(): Duplex };

type Stream = { readonly duplex: Duplex; take(data: Buffer): void; grant(bytes: number): void; finish(): void };

/** Speaks yamux on a socket from now on. */
export function createRawMux(socket: Duplex): RawMux {
  const streams = new Map<number, Stream>();
  let nextId = 1;
  let pending: Buffer = Buffer.alloc(0);

  function take(type: number, flags: number, id: number, data: Buffer, length: number): void {
    if (type === frame.ping && (flags & flag.syn) !== 0) socket.write(encodeMuxHeader("ping", flag.ack, 0, length));
    if (type === frame.goAway) socket.destroy();
    const stream = streams.get(id);
    if (stream === undefined) return;
    if (type === frame.windowUpdate) stream.grant(length);
    if (data.length > 0) stream.take(data);
    if ((flags & flag.rst) !== 0) stream.duplex.destroy();
    else if ((flags & flag.fin) !== 0) stream.finish();
  }

  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 12) {
      const type = pending.readUInt8(1);
      const length = pending.readUInt32BE(8);
      const dataLength = type === frame.data ? length : 0;
      if (pending.length < 12 + dataLength) return;
      const [flags, id, data] = [pending.readUInt16BE(2), pending.readUInt32BE(4), pending.subarray(12, 12 + dataLength)];
      pending = pending.subarray(12 + dataLength);
      take(type, flags, id, data, length);
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    for (const { duplex } of streams.values()) duplex.destroy();
  });

  return {
    openStream() {
      const id = nextId;
      nextId += 2;
      const stream = createStream(id, socket, () => streams.delete(id));
      streams.set(id, stream);
      socket.write(encodeMuxOpen(id));
      return stream.duplex;
    },
  };
}

function createStream(id: number, socket: Duplex, forget: () => void): Stream {
  let window = initialWindow;
  let waiting: { data: Buffer; done: () => void } | undefined;

  function flush(): void {
    while (waiting !== undefined && window > 0) {
      const part = waiting.data.subarray(0, Math.min(window, maxFrameData));
      window -= part.length;
      socket.write(Buffer.concat([encodeMuxHeader("data", 0, id, part.length), part]));
      if (part.length < waiting.data.length) {
        waiting.data = waiting.data.subarray(part.length);
        continue;
      }
      const { done } = waiting;
      waiting = undefined;
      done();
    }
  }

  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      waiting = { data: chunk, done };
      flush();
    },
    final(done) {
      if (!socket.destroyed) socket.write(encodeMuxHeader("windowUpdate", flag.fin, id, 0));
      done();
    },
    destroy(error, done) {
      if (!socket.destroyed && !duplex.readableEnded) socket.write(encodeMuxHeader("windowUpdate", flag.rst, id, 0));
      forget();
      done(error);
    },
  });
  duplex.on("error", () => {});
  return {
    duplex,
    take(data) {
      duplex.push(data);
      socket.write(encodeMuxHeader("windowUpdate", 0, id, data.length));
    },
    grant(bytes) {
      window += bytes;
      flush();
    },
    finish: () => void duplex.push(null),
  };
}
