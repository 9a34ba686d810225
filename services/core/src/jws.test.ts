import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase64Url, isBoundedText, isSeconds, parseCompactJws, parseJws } from "./jws.ts";
import { encodePart, signJws } from "./jws-for-tests.ts";

const seed = new Uint8Array(32).fill(1);
const good = signJws({ alg: "EdDSA" }, { sub: "x" }, seed);
const [head = "", body = "", tail = ""] = good.split(".");
const withHeader = (header: unknown): string => signJws(header, { sub: "x" }, seed);
const withPayload = (payload: unknown): string => signJws({ alg: "EdDSA" }, payload, seed);

describe("a compact JWS", () => {
  it("is read into its parts, and the signed text is what was sent", () => {
    expect(parseJws(good)).toEqual({
      header: { alg: "EdDSA" },
      payload: { sub: "x" },
      signedText: `${head}.${body}`,
      signature: Buffer.from(tail, "base64url"),
    });
    expect(parseCompactJws(withPayload("no object"))?.payload).toEqual(Buffer.from("no object"));
  });

  it.each([
    ["nothing", ""],
    ["two parts", `${head}.${body}`],
    ["four parts", `${good}.${tail}`],
    ["an empty fourth part", `${good}.`],
    ["no header", `.${body}.${tail}`],
    ["no payload", `${head}..${tail}`],
    ["no signature", `${head}.${body}.`],
    ["a space before", ` ${good}`],
    ["a line feed behind", `${good}\n`],
    ["a space inside", `${head}. ${body}.${tail}`],
    ["padding", `${head}.${body}.${tail}==`],
    ["spare bits set", `${head}.${body}.${tail.slice(0, -1)}${tail.endsWith("g") ? "h" : "R"}`],
    ["the alphabet of base64", `${head}.${body}.${"+".repeat(86)}`],
    ["the JSON form", JSON.stringify({ payload: body, signatures: [{ protected: head, signature: tail }] })],
    ["more than 4096 characters", withPayload({ sub: "x".repeat(3000) })],
    ["a header that is a list", withHeader([])],
    ["a header that is null", withHeader(null)],
    ["a header that is no JSON", withHeader("{alg}")],
    ["two algorithms", withHeader('{"alg":"EdDSA","alg":"none"}')],
    ["two algorithms, one escaped", withHeader('{"alg":"EdDSA","\\u0061lg":"none"}')],
    ["a payload that is a list", withPayload([])],
    ["a payload that is a text", withPayload('"x"')],
    ["a member twice in the payload", withPayload('{"sub":"x","sub":"y"}')],
    ["a member twice deeper in the payload", withPayload('{"a":{"b":1,"b":2}}')],
    ["a byte order mark", withPayload("\uFEFF{}")],
    ["bytes that are no UTF-8", `${head}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString("base64url")}.${tail}`],
  ])("is none with %s", (_name, text) => {
    expect(parseJws(text)).toBeUndefined();
  });

  it.each(["crit", "b64", "jwk", "jku", "x5c", "x5u"])("is none with %s in its header, whatever it says", (name) => {
    for (const value of [null, false, true, [], ["b64"], "https://example.org/key", {}]) {
      expect(parseJws(withHeader({ alg: "EdDSA", [name]: value }))).toBeUndefined();
    }
  });

  it("is none when any of its parts has spare bits set, also where the payload is not read as an object", () => {
    const text = signJws({ alg: "none" }, { sub: "x" }, seed);
    expect(parseCompactJws(text)).toBeDefined();
    for (const part of text.split(".")) {
      const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      const respelled = `${part.slice(0, -1)}${digits[digits.indexOf(part.at(-1) ?? "") + 1]}`;
      expect(Buffer.from(respelled, "base64url")).toEqual(Buffer.from(part, "base64url"));
      expect(parseCompactJws(text.replace(part, respelled))).toBeUndefined();
    }
  });

  it("may have exactly 4096 characters", () => {
    // 20 + 1 + 3988 + 1 + 86: the payload is 2991 bytes.
    const longest = withPayload({ sub: "x".repeat(2981) });
    expect(longest).toHaveLength(4096);
    expect(parseJws(longest)).toBeDefined();
    expect(parseJws(`A${longest}`)).toBeUndefined();
  });

  it("a name of Object's prototype in it is a member like any other", () => {
    expect(parseJws(withHeader('{"alg":"EdDSA","__proto__":{"crit":["x"]},"constructor":1,"toString":2}'))).toBeDefined();
  });

  it("never makes the reader throw", () => {
    const part = fc.oneof(
      fc.string(),
      fc.json().map(encodePart),
      fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("base64url")),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
        parseJws(parts.join("."));
      }),
    );
  });
});

describe("base64url", () => {
  it("has one spelling: whatever is read prints as it was sent, and whatever is printed is read", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.stringMatching(/^[A-Za-z0-9_-]*$/)), (text) => {
        const bytes = decodeBase64Url(text);
        if (bytes !== undefined) expect(Buffer.from(bytes).toString("base64url")).toBe(text);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeBase64Url(Buffer.from(bytes).toString("base64url"))).toEqual(Buffer.from(bytes));
      }),
    );
  });
});

describe("what stands in a claim", () => {
  it("as seconds is a safe integer, not negative", () => {
    for (const value of [0, 1, 1_707_091_200, Number.MAX_SAFE_INTEGER]) expect(isSeconds(value)).toBe(true);
    for (const value of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, "1", null, undefined, true, [1], {}]) {
      expect(isSeconds(value)).toBe(false);
    }
  });

  it("as a text is printable ASCII, not empty, and bounded", () => {
    for (const value of ["a", "a b", "x".repeat(8)]) expect(isBoundedText(value, 8)).toBe(true);
    for (const value of ["", "x".repeat(9), "a\n", "\u0000", "é", 1, null, undefined, ["a"]]) expect(isBoundedText(value, 8)).toBe(false);
  });
});
