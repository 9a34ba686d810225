import { createHmac } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type KeyRing, signWithRing, verifyWithRing } from "./key-ring.ts";

const secret = fc.uint8Array({ minLength: 1, maxLength: 100 });
const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array).toString("latin1"));
const expected = (key: Uint8Array, message: string): Buffer => createHmac("sha256", key).update(Buffer.from(message, "latin1")).digest();

test("a MAC is node:crypto's HMAC-SHA256, whatever the key and the message, also one after the other", () => {
  fc.assert(
    fc.property(secret, fc.array(bytes, { minLength: 1 }), (key, messages) => {
      const ring: KeyRing = { keys: [{ id: "1", secret: key }] };
      for (const message of messages) {
        expect(signWithRing(ring, message, "hex")).toBe(expected(key, message).toString("hex"));
        expect(signWithRing(ring, message, "binary")).toBe(expected(key, message).toString("latin1"));
      }
    }),
  );
});

test.each([1, 63, 64, 65, 200])(
  "a MAC is HMAC-SHA256 with a key of %i bytes: only one that is longer than a block is hashed first",
  (length) => {
    const key = Buffer.alloc(length, 0xa5);
    expect(signWithRing({ keys: [{ id: "1", secret: key }] }, "message", "hex")).toBe(expected(key, "message").toString("hex"));
  },
);

test("every key of the ring verifies, a MAC may be cut to 16 bytes and no further, and one bit more or less is refused", () => {
  fc.assert(
    fc.property(secret, secret, bytes, fc.nat({ max: 127 }), (newer, older, message, bit) => {
      const ring: KeyRing = {
        keys: [
          { id: "2", secret: newer },
          { id: "1", secret: older },
        ],
      };
      for (const key of [newer, older]) {
        const mac = expected(key, message);
        expect(verifyWithRing(ring, message, mac.toString("hex"), "hex")).toBe(true);
        expect(verifyWithRing(ring, message, mac.toString("latin1", 0, 16), "binary")).toBe(true);
        expect(verifyWithRing(ring, message, mac.toString("latin1", 0, 15), "binary")).toBe(false);
        expect(verifyWithRing(ring, message, `${mac.toString("hex")}00`, "hex")).toBe(false);
        const altered = Buffer.from(mac);
        altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(verifyWithRing(ring, message, altered.toString("latin1", 0, 16), "binary")).toBe(false);
      }
      expect(verifyWithRing(ring, message, "", "hex")).toBe(false);
    }),
  );
});
