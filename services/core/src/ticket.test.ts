import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { KeyRing } from "./key-ring.ts";
import { type Label, parseLabel } from "./label.ts";
import { mintTicket, readTicket, type Ticket } from "./ticket.ts";

const alice = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
const bob = parseLabel("0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359") as Label;
const secret = new Uint8Array(32).fill(7);
const ring: KeyRing = { keys: [{ id: "1", secret }] };
const ticket: Ticket = {
  generation: 1_795_309_034_123,
  issuedAt: new Date(1_795_309_000_000),
  endsAt: new Date(1_795_312_600_000),
  kind: "stellar-jwt",
};
const random = Uint8Array.from({ length: 16 }, (_, index) => 250 - index);

describe("a ticket", () => {
  it("is the documented 47 bytes: HMAC-SHA256 over the label, a line feed and all before, cut to 16 bytes", () => {
    const body = Buffer.alloc(31);
    body.writeUIntBE(ticket.generation, 0, 6);
    body.writeUInt32BE(1_795_309_000, 6);
    body.writeUInt32BE(1_795_312_600, 10);
    body.writeUInt8(4, 14);
    body.set(random, 15);
    const mac = createHmac("sha256", secret).update(`${alice}\n`).update(body).digest().subarray(0, 16);
    expect(mintTicket(alice, ticket, ring, random)).toBe(Buffer.concat([body, mac]).toString("base64url"));
  });

  it.each(["hmac", "jwt", "claim", "stellar-jwt"] as const)("says that its credential was a %s", (kind) => {
    expect(readTicket(alice, mintTicket(alice, { ...ticket, kind }, ring, random), ring)?.kind).toBe(kind);
  });

  it.each([0, 5, 255])("of our own key is refused when its kind is %i, which none is", (kind) => {
    const body = Buffer.from(mintTicket(alice, ticket, ring, random), "base64url").subarray(0, 31);
    body.writeUInt8(kind, 14);
    const mac = createHmac("sha256", secret).update(`${alice}\n`).update(body).digest().subarray(0, 16);
    expect(readTicket(alice, Buffer.concat([body, mac]).toString("base64url"), ring)).toBeUndefined();
  });

  it("says what it was minted with, also when others were minted meanwhile, to its own label alone", () => {
    const text = mintTicket(alice, ticket, ring, random);
    mintTicket(bob, { ...ticket, generation: 5, kind: "hmac" }, ring, new Uint8Array(16));
    expect(text).toHaveLength(63);
    expect(readTicket(alice, text, ring)).toEqual(ticket);
    expect(readTicket(bob, text, ring)).toBeUndefined();
    expect(readTicket(alice, text, { keys: [{ id: "2", secret: new Uint8Array(32) }] })).toBeUndefined();
  });

  it("is refused when any one character is another, and when it is cut, longer or no base64url", () => {
    const text = mintTicket(alice, ticket, ring, random);
    for (let index = 0; index < text.length; index += 1) {
      const altered = text.slice(0, index) + (text[index] === "A" ? "B" : "A") + text.slice(index + 1);
      expect(readTicket(alice, altered, ring)).toBeUndefined();
    }
    for (const other of ["", text.slice(1), `${text}A`, `${text.slice(0, 62)}=`, `${text.slice(0, 62)}\n`]) {
      expect(readTicket(alice, other, ring)).toBeUndefined();
    }
  });

  it("has one length: with more of its own MAC than the format holds it is refused", () => {
    const text = mintTicket(alice, ticket, ring, random);
    const body = Buffer.from(text, "base64url").subarray(0, 31);
    const mac = createHmac("sha256", secret).update(`${alice}\n`).update(body).digest();
    expect(Buffer.concat([body, mac.subarray(0, 16)]).toString("base64url")).toBe(text);
    for (const length of [17, 18, 32]) {
      expect(readTicket(alice, Buffer.concat([body, mac.subarray(0, length)]).toString("base64url"), ring)).toBeUndefined();
    }
  });
});
