/** The judgement of a request's form is total, and only one well-formed line leads to a tunnel. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isWebSocketRequest, readRequestForm } from "./request-form.ts";

const names = { domain: "tunnel.localhost", controlHost: "control.tunnel.localhost" };
const host = `0x${"a".repeat(40)}.tunnel.localhost`;
const line = (over: object = {}) => ({
  method: "GET",
  url: "/",
  httpVersionMajor: 1,
  httpVersionMinor: 1,
  rawHeaders: ["Host", host],
  ...over,
});

describe("readRequestForm", () => {
  it("never throws, and says tunnel only for one Host that names it", () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom("Host", "HOST", host, "Transfer-Encoding", "chunked", "Content-Length", "5", "/", "/#"),
    );
    fc.assert(
      fc.property(word, word, fc.nat(3), fc.nat(3), fc.array(word), (method, url, httpVersionMajor, httpVersionMinor, rawHeaders) => {
        const form = readRequestForm({ method, url, httpVersionMajor, httpVersionMinor, rawHeaders }, names);
        if (form.kind === "refused") return;
        expect(url.startsWith("/") && httpVersionMajor === 1 && httpVersionMinor <= 1).toBe(true);
        expect(
          rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host" && index + 1 < rawHeaders.length),
        ).toHaveLength(1);
      }),
    );
  });

  it.each([
    [["Host", host, "Content-Length", "0"], false],
    [["Host", host, "Content-Length", "00"], false],
    [["Host", host, "Content-Length", "1"], true],
    [["Host", host, "Transfer-Encoding", "Chunked"], true],
    [["Host", host], false],
  ])("%s has a body: %s", (rawHeaders, hasBody) => {
    expect(readRequestForm(line({ rawHeaders }), names)).toMatchObject({ kind: "tunnel", hasBody });
  });

  it("the host that goes on is lower case and has no port", () => {
    expect(readRequestForm(line({ rawHeaders: ["host", `${host.toUpperCase()}:443`] }), names)).toMatchObject({ kind: "tunnel", host });
  });

  it("the control host is unknown to visitors", () => {
    expect(readRequestForm(line({ rawHeaders: ["Host", "control.tunnel.localhost"] }), names)).toMatchObject({ code: "UNKNOWN_HOST" });
  });
});

describe("isWebSocketRequest", () => {
  it.each([
    ["websocket", {}, true],
    [" WebSocket ", {}, true],
    ["h2c", {}, false],
    ["websocket, h2c", {}, false],
    ["websocket", { method: "POST" }, false],
    ["websocket", { httpVersionMinor: 0 }, false],
    ["websocket", { rawHeaders: ["Content-Length", "5"] }, false],
    ["websocket", { rawHeaders: ["Transfer-Encoding", "chunked"] }, false],
  ])("%s %o: %s", (upgrade, over, expected) => {
    expect(isWebSocketRequest({ ...line(over), headers: { upgrade } })).toBe(expected);
  });
});
