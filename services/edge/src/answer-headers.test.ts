/** Toward the visitor: the marker decides and is gone, cookies stay with their own label. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dropCookieDomain, readAnswerHeaders, readTrailers } from "./answer-headers.ts";

const options = { marker: "x-mark", requestId: "ours" };

describe("readAnswerHeaders", () => {
  it("only the marker makes an answer the app's, in any case, and it never goes on", () => {
    expect(readAnswerHeaders([Buffer.from("X-MARK"), Buffer.from("")], options)).toEqual({
      isMarked: true,
      headers: ["X-Request-Id", "ours"],
    });
    expect(readAnswerHeaders(["X-Mark-Too", "1"], options).isMarked).toBe(false);
  });

  it("drops what is for this hop only", () => {
    const raw = [
      "Connection",
      "close, X-Own",
      "Keep-Alive",
      "1",
      "Transfer-Encoding",
      "chunked",
      "Upgrade",
      "h2c",
      "Trailer",
      "X",
      "X-Own",
      "1",
    ];
    expect(readAnswerHeaders(raw, options).headers).toEqual(["X-Own", "1", "X-Request-Id", "ours"]);
  });

  it("keeps the bytes of a value as they came", () => {
    const { headers } = readAnswerHeaders([Buffer.from("X-Own"), Buffer.from([0xe4, 0xff])], options);
    expect(headers[1]).toBe("\u00e4\u00ff");
  });
});

describe("readTrailers", () => {
  it("drops the marker, framing and cookies", () => {
    const raw = ["X-Sum", "1", "X-Mark", "1", "Set-Cookie", "a=1", "Content-Length", "5", "Transfer-Encoding", "chunked"];
    expect(readTrailers(raw, "x-mark")).toEqual([["X-Sum", "1"]]);
  });
});

describe("dropCookieDomain", () => {
  it.each([
    ["a=1", "a=1"],
    ["a=1; Domain=example.org", "a=1"],
    ["a=1; Path=/; dOmAiN=.example.org; Secure", "a=1; Path=/; Secure"],
    ["a=1;Domain = x;Domain=y; HttpOnly", "a=1; HttpOnly"],
    ["a=1; Domain", "a=1"],
    ["a=1; \tDomain\t=x", "a=1"],
    ["domain=1; Path=/", "domain=1; Path=/"],
    ["a=domain=x; Path=/domain", "a=domain=x; Path=/domain"],
    ["a=1; SubDomain=x", "a=1; SubDomain=x"],
  ])("%s → %s", (cookie, expected) => {
    expect(dropCookieDomain(cookie)).toBe(expected);
  });

  it("no attribute that a browser would read as Domain is left, and the pair is never touched", () => {
    const part = fc.oneof(fc.constantFrom("Domain", "domain =x", " DOMAIN=y", "Path=/", ""), fc.stringMatching(/^[ -:<-~]{0,12}$/));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1 }), (parts) => {
        const [pair, ...attributes] = dropCookieDomain(parts.join(";")).split(";");
        expect(pair).toBe(parts[0]);
        for (const attribute of attributes) expect(attribute.split("=")[0]?.trim().toLowerCase()).not.toBe("domain");
      }),
    );
  });
});
