/** Toward the app: what a visitor may not say is gone, ours is there once, the rest is as it was. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderRequestHeaders } from "./request-headers.ts";

const marks = { host: "h.example", source: "192.0.2.1", scheme: "https", requestId: "id", marker: "x-mark", isWebSocket: false } as const;
const valuesOf = (headers: readonly string[], name: string): string[] =>
  headers.filter((_, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name);

describe("renderRequestHeaders", () => {
  it("puts the normalised host first and our own headers in", () => {
    const headers = renderRequestHeaders(["hOsT", "H.example:80"], marks);
    expect(headers.slice(0, 2)).toEqual(["Host", "h.example"]);
    expect(valuesOf(headers, "x-forwarded-for")).toEqual(["192.0.2.1"]);
    expect(valuesOf(headers, "x-forwarded-host")).toEqual(["h.example"]);
    expect(valuesOf(headers, "x-real-ip")).toEqual(["192.0.2.1"]);
  });

  it.each([
    "X-Forwarded-For",
    "x_forwarded_for",
    "X-Forwarded-Anything",
    "Forwarded",
    "X-Real-IP",
    "X_Real_IP",
    "X-Request-Id",
    "X-Keyhole-Secret",
    "x_keyhole_secret",
    "X-Keyhole-Edge",
    "X-KEYHOLE_EDGE",
    "x_keyhole-edge",
    "X-Mark",
    "x_mark",
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "transfer_encoding",
    "Content_Length",
    "Upgrade",
    "HTTP2-Settings",
    "Expect",
  ])("%s does not pass", (name) => {
    expect(renderRequestHeaders([name, "evil"], marks)).not.toContain("evil");
  });

  it("a name in Connection is not honoured: our headers stay", () => {
    const headers = renderRequestHeaders(["Connection", "close, X-Forwarded-For, X-Own", "X-Own", "1"], marks);
    expect(valuesOf(headers, "connection")).toEqual([]);
    expect(valuesOf(headers, "x-own")).toEqual(["1"]);
    expect(valuesOf(headers, "x-forwarded-for")).toEqual(["192.0.2.1"]);
  });

  it("a visitor without Accept-Encoding, or with an empty one, gets its bytes as they are", () => {
    expect(valuesOf(renderRequestHeaders([], marks), "accept-encoding")).toEqual(["identity"]);
    expect(valuesOf(renderRequestHeaders(["Accept-Encoding", " "], marks), "accept-encoding")).toEqual(["identity"]);
    expect(valuesOf(renderRequestHeaders(["Accept-Encoding", "br"], marks), "accept-encoding")).toEqual(["br"]);
  });

  it("a WebSocket handshake has exactly our two words for it", () => {
    const headers = renderRequestHeaders(["Connection", "keep-alive, Upgrade", "Upgrade", "WebSocket"], { ...marks, isWebSocket: true });
    expect([valuesOf(headers, "connection"), valuesOf(headers, "upgrade")]).toEqual([["Upgrade"], ["websocket"]]);
  });

  it("the edge's password is there once when it is due, whatever was sent, and never otherwise", () => {
    const sent = ["x-keyhole-edge", "guess", "X-Keyhole-Edge", "guess", "x_keyhole_edge", "guess"];
    expect(valuesOf(renderRequestHeaders(sent, { ...marks, edgePassword: "password" }), "x-keyhole-edge")).toEqual(["password"]);
    expect(renderRequestHeaders(sent, marks).filter((part) => /keyhole|guess/i.test(part))).toEqual([]);
  });

  it("other headers keep case, order and repetition", () => {
    const name = fc.stringMatching(/^App-[A-Za-z]{1,8}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.stringMatching(/^[!-~]{0,9}$/))), (pairs) => {
        const headers = renderRequestHeaders(pairs.flat(), marks);
        const kept: [string, string][] = [];
        for (let index = 0; index < headers.length; index += 2) {
          if (headers[index]?.startsWith("App-")) kept.push([headers[index] ?? "", headers[index + 1] ?? ""]);
        }
        expect(kept).toEqual(pairs);
      }),
    );
  });
});
