/**
 * frp's wire v1 and the little of yamux that one Login needs. A message is one type byte, its length as int64 and JSON,
 * all big-endian (golib's msg/json; frp's pkg/msg/msg.go for the type bytes). With `transport.tcpMux` the bytes run in a
 * yamux stream: frames of a 12-byte header {version 0, type, flags u16, stream u32, length u32} and their data.
 */

/** The type byte of a Login, and of its answer. */
export const loginType = 0x6f;
export const loginRespType = 0x31;

/** frp reads no message of v1 that is longer, and sends none. */
const maxMessageBytes = 10_240;

/** One message. */
export function encodeMessage(type: number, content: object): Buffer {
  const json = Buffer.from(JSON.stringify(content));
  const message = Buffer.alloc(9 + json.length);
  message.writeUInt8(type, 0);
  message.writeBigInt64BE(BigInt(json.length), 1);
  json.copy(message, 9);
  return message;
}

/** The message that the bytes begin with, "more" when it is not whole yet, "broken" when it is none. Never throws. */
export function decodeMessage(bytes: Buffer): { readonly type: number; readonly content: unknown } | "more" | "broken" {
  if (bytes.length < 9) return "more";
  const length = bytes.readBigInt64BE(1);
  if (length < 0n || length > BigInt(maxMessageBytes)) return "broken";
  if (bytes.length < 9 + Number(length)) return "more";
  try {
    return { type: bytes.readUInt8(0), content: JSON.parse(bytes.toString("utf8", 9, 9 + Number(length))) };
  } catch {
    return "broken";
  }
}

const frame = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;
const flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;
const streamId = 1;

function encodeFrame(type: number, flags: number, stream: number, length: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(flags, 2);
  header.writeUInt32BE(stream, 4);
  header.writeUInt32BE(length, 8);
  return header;
}

/** The first bytes of a yamux client: stream 1 opened, with `payload` on it. */
export function encodeFirstStream(payload: Buffer): Buffer {
  return Buffer.concat([
    encodeFrame(frame.windowUpdate, flag.syn, streamId, 0),
    encodeFrame(frame.data, 0, streamId, payload.length),
    payload,
  ]);
}

/** What a piece of the connection meant: bytes of stream 1, bytes to answer with, and whether the stream or session ended. */
export type MuxStep = { readonly payload: Buffer; readonly reply: Buffer; readonly hasEnded: boolean };

/** Takes a yamux session's bytes in any pieces and yields what is on stream 1. Never throws; what is no yamux has ended. */
export function createMuxReader(): (chunk: Buffer) => MuxStep {
  let pending: Buffer = Buffer.alloc(0);
  let hasEnded = false;
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    const payload: Buffer[] = [];
    const reply: Buffer[] = [];
    while (!hasEnded && pending.length >= 12) {
      const [type, flags] = [pending.readUInt8(1), pending.readUInt16BE(2)];
      const [stream, length] = [pending.readUInt32BE(4), pending.readUInt32BE(8)];
      const dataLength = type === frame.data ? length : 0;
      const isOurs = stream === streamId || type === frame.ping || type === frame.goAway;
      if (pending.readUInt8(0) !== 0 || type > frame.goAway || dataLength > 2 * maxMessageBytes || !isOurs) {
        hasEnded = true;
        break;
      }
      if (pending.length < 12 + dataLength) break;
      if (dataLength > 0) payload.push(pending.subarray(12, 12 + dataLength));
      if (type === frame.ping && (flags & flag.syn) !== 0) reply.push(encodeFrame(frame.ping, flag.ack, 0, length));
      if (type === frame.goAway || (flags & (flag.fin | flag.rst)) !== 0) hasEnded = true;
      pending = pending.subarray(12 + dataLength);
    }
    return { payload: Buffer.concat(payload), reply: Buffer.concat(reply), hasEnded };
  };
}
