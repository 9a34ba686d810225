import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createMuxReader, decodeMessage, encodeFirstStream, encodeMessage, loginType } from "./wire.ts";

/** Cuts bytes into pieces at the given places, as a network does. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

const content = fc.dictionary(fc.string(), fc.string(), { maxKeys: 8, noNullPrototype: true });

describe("wire v1 in a yamux stream", () => {
  it("arrives the same, in whatever pieces", () => {
    fc.assert(
      fc.property(content, fc.array(fc.nat(), { maxLength: 20 }), (login, cuts) => {
        const read = createMuxReader();
        const steps = pieces(encodeFirstStream(encodeMessage(loginType, login)), cuts).map(read);
        expect(steps.some((step) => step.hasEnded)).toBe(false);
        expect(decodeMessage(Buffer.concat(steps.map((step) => step.payload)))).toEqual({ type: loginType, content: login });
      }),
    );
  });

  it("is total over arbitrary bytes, and keeps nothing of what is no yamux", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
        const read = createMuxReader();
        for (const chunk of chunks) decodeMessage(read(Buffer.from(chunk)).payload);
      }),
    );
  });

  it("answers a ping, and ends at FIN, RST, a go-away, a frame too large or another version", () => {
    const header = (version: number, type: number, flags: number, stream: number, length: number): Buffer =>
      Buffer.from([version, type, 0, flags, 0, 0, 0, stream, 0, 0, length >> 8, length & 255]);
    expect(createMuxReader()(header(0, 2, 1, 0, 7))).toEqual({ payload: Buffer.alloc(0), reply: header(0, 2, 2, 0, 7), hasEnded: false });
    expect(createMuxReader()(header(0, 2, 2, 0, 7)).reply).toHaveLength(0);
    for (const last of [
      header(0, 0, 4, 1, 0),
      header(0, 1, 8, 1, 0),
      header(0, 3, 0, 0, 0),
      header(0, 0, 0, 1, 60_000),
      header(1, 0, 0, 1, 0),
    ]) {
      expect(createMuxReader()(last).hasEnded).toBe(true);
    }
  });

  it("tells a message that is not whole from one that is none", () => {
    const message = encodeMessage(loginType, { a: "b" });
    expect(decodeMessage(message.subarray(0, message.length - 1))).toBe("more");
    for (const length of [-1n, 10_241n]) {
      const bad = Buffer.from(message);
      bad.writeBigInt64BE(length, 1);
      expect(decodeMessage(bad)).toBe("broken");
    }
    const notJson = Buffer.from(message);
    notJson.write("!", 9);
    expect(decodeMessage(notJson)).toBe("broken");
  });
});
