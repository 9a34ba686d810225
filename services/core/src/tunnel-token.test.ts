import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  deriveUnrecordedEnd,
  type KeyRing,
  type Label,
  mintTicket,
  mintTunnelToken,
  parseLabel,
  readTicket,
  readTunnelToken,
} from "./index.ts";

const key = (fill: number) => ({ id: String(fill), secret: new Uint8Array(32).fill(fill) });
const ring: KeyRing = { keys: [key(1), key(2)] };
const label = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
const other = parseLabel("gbrpyhil2ci3fnq4bxlfmndlfjunpu2hy3zmfshonuceoasw7qc7ox2h") as Label;
const issuedAt = new Date(1707091200000);
const codeOf = (text: string, keys: KeyRing = ring): string => {
  const verdict = readTunnelToken(text, keys);
  return verdict.granted ? "granted" : verdict.refusal.code;
};

describe("tunnel token", () => {
  it("reads what it minted, for both kinds of label", () => {
    for (const whose of [label, other]) {
      const token = mintTunnelToken({ label: whose, issuedAt }, ring.keys[0]);
      expect(token).toMatch(/^frp_[A-Za-z0-9]+_1707091200_[0-9a-f]{64}$/);
      expect(readTunnelToken(token, ring)).toEqual({ granted: true, value: { label: whose, issuedAt } });
    }
  });

  it("is minted by the key it is asked of, verified by every ring that has it, and refused once its key is gone", () => {
    const token = mintTunnelToken({ label, issuedAt }, key(2));
    expect(codeOf(token)).toBe("granted");
    expect(codeOf(token, { keys: [key(1)] })).toBe("TOKEN_SIGNATURE");
    expect(mintTunnelToken({ label, issuedAt }, key(2))).toBe(token);
    expect(mintTunnelToken({ label, issuedAt }, key(1))).not.toBe(token);
  });

  it("is refused with any one character changed", () => {
    const token = mintTunnelToken({ label, issuedAt }, ring.keys[0]);
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        fc.pre(character !== token[at]);
        expect(codeOf(token.slice(0, at) + character + token.slice(at + 1))).not.toBe("granted");
      }),
    );
  });

  it.each([
    ["a space before it", (token: string) => ` ${token}`],
    ["a newline after it", (token: string) => `${token}\n`],
    ["a truncated MAC", (token: string) => token.slice(0, -52)],
    ["an upper-case MAC", (token: string) => token.slice(0, -64) + token.slice(-64).toUpperCase()],
    ["padding", (token: string) => token.replace("_1707", "=_1707")],
    ["a leading zero in its time", (token: string) => token.replace("_1707", "_01707")],
    ["nothing", () => ""],
    ["only its prefix", () => "frp_"],
  ])("is malformed with %s", (_name, alter) => {
    expect(codeOf(alter(mintTunnelToken({ label, issuedAt }, ring.keys[0])))).toBe("TOKEN_MALFORMED");
  });

  it("has one spelling: spare bits of its label's base64url make it malformed", () => {
    const token = mintTunnelToken({ label: other, issuedAt }, ring.keys[0]);
    const [, encoded = ""] = token.split("_");
    expect(encoded.at(-1)).toBe("g");
    expect(codeOf(token.replace(encoded, `${encoded.slice(0, -1)}h`))).toBe("TOKEN_MALFORMED");
  });

  it("lives at most a day where it has no record", () => {
    expect(deriveUnrecordedEnd(issuedAt, 3600).getTime() - issuedAt.getTime()).toBe(3_600_000);
    expect(deriveUnrecordedEnd(issuedAt, 604_800).getTime() - issuedAt.getTime()).toBe(86_400_000);
  });
});

describe("ticket", () => {
  const ticket = { generation: 1795309034123, issuedAt, endsAt: new Date(1707177600000), kind: "hmac" } as const;
  const random = new Uint8Array(16).fill(7);

  it("has 63 characters and gives back what went in", () => {
    const text = mintTicket(label, ticket, ring, random);
    expect(text).toMatch(/^[A-Za-z0-9_-]{63}$/);
    expect(readTicket(label, text, ring)).toEqual(ticket);
  });

  it("1: is worth nothing for another label, under another key, or altered", () => {
    const text = mintTicket(label, ticket, ring, random);
    expect(readTicket(other, text, ring)).toBeUndefined();
    expect(readTicket(label, text, { keys: [key(3)] })).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(62), fc.constantFrom(..."ABCxyz019-_"), (at, character) => {
        fc.pre(character !== text[at]);
        expect(readTicket(label, text.slice(0, at) + character + text.slice(at + 1), ring)).toBeUndefined();
      }),
    );
  });

  it("reads anything without throwing", () => {
    fc.assert(fc.property(fc.string(), (text) => readTicket(label, text, ring) === undefined));
  });
});
