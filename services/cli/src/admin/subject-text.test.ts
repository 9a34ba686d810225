import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePastedSubject, parsePastedWallet, parseSubject, parseWallet, printSubject } from "./subject-text.ts";

const address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const label = address.toLowerCase();
const account = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";
const domain = "tunnel.localhost";
const outcome = (verdict: ReturnType<typeof parsePastedSubject>): string => (verdict.granted ? verdict.value : verdict.refusal.code);

describe("a wallet as an operator writes it", () => {
  it.each([
    [address, label],
    [label, label],
    [account, account.toLowerCase()],
    [account.toLowerCase(), account.toLowerCase()],
    [` ${address}\n`, label],
    [`https://${label}.${domain}/login?x=1#y`, label],
    [`http://${label}.${domain}:7080`, label],
    [`HTTP://${label.toUpperCase()}.${domain}`, label],
    [`${account.toLowerCase()}.${domain}:443`, account.toLowerCase()],
    [address.replace("aA", "AA"), "WALLET_CHECKSUM"],
    ["0x00", "WALLET_FORMAT"],
    ["", "WALLET_REQUIRED"],
    [`https://${label}.example.org/`, "UNKNOWN_HOST"],
    [`https://${domain}/`, "UNKNOWN_HOST"],
    [`https://x@${label}.${domain}/`, "WALLET_FORMAT"],
  ])("%j is %s", (text, wanted) => {
    expect(outcome(parsePastedWallet(text, domain))).toBe(wanted);
    if (!/UNKNOWN_HOST|WALLET_/.test(wanted)) expect(outcome(parsePastedSubject(text, domain))).toBe(wanted);
  });

  it("with a wrong checksum is told the right one", () => {
    expect(parsePastedWallet(address.replace("aA", "AA"), domain)).toMatchObject({ refusal: { facts: { expected: address } } });
  });
});

describe("what can be blocked", () => {
  it.each([
    ["203.0.113.9", "203.0.113.9/32"],
    ["203.0.113.9/24", "203.0.113.0/24"],
    ["2001:db8::7/32", "2001:db8::/32"],
    ["::ffff:203.0.113.9", "203.0.113.9/32"],
    [`https://${label}.${domain}/`, label],
    [address, label],
    ["0.0.0.0/0", "SUBJECT_MALFORMED"],
    ["10.0.0.0/7", "SUBJECT_MALFORMED"],
    ["203.0.113.9/33", "SUBJECT_MALFORMED"],
    ["everybody", "SUBJECT_MALFORMED"],
    ["", "SUBJECT_MALFORMED"],
    ["example.org", "UNKNOWN_HOST"],
    ["0x00", "WALLET_FORMAT"],
  ])("%j is %s", (text, wanted) => {
    expect(outcome(parsePastedSubject(text, domain))).toBe(wanted);
  });

  it("is printed as its ecosystem writes it, and read back as the same", () => {
    for (const text of [address, account, "203.0.113.0/24"]) {
      const subject = parseSubject(text);
      if (!subject.granted) throw new Error(text);
      expect(printSubject(subject.value)).toBe(text);
      expect(parseSubject(printSubject(subject.value))).toEqual(subject);
    }
  });

  it("is read from any text without crashing", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl(), fc.ipV4Extended(), fc.ipV6()), (text) => {
        for (const verdict of [parseWallet(text), parsePastedWallet(text, domain), parsePastedSubject(text, domain)])
          expect(typeof verdict.granted).toBe("boolean");
      }),
    );
  });
});
