/** Answers of ours: each refusal of the edge as a problem and as a page, with every header it must have. */
import { refusalCodes, refusals } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { composeAnswer, prefersHtml } from "./answers.ts";
import { escapeHtml, renderPage } from "./html-page.ts";

const codes = refusalCodes.filter((code) => (refusals[code].voices as readonly string[]).includes("edge"));

describe("composeAnswer", () => {
  it.each(codes)("13: %s has its status, its sentence, its remedy and the request's id, in both forms", (code) => {
    for (const isHtml of [false, true]) {
      const { status, headers, body } = composeAnswer({ code }, "request-1", isHtml);
      expect(status).toBe(refusals[code].status);
      expect(headers).toEqual(
        expect.arrayContaining(["Cache-Control", "no-store", "X-Request-Id", "request-1", "Access-Control-Allow-Origin", "*"]),
      );
      expect(headers[headers.indexOf("Content-Length") + 1]).toBe(String(body.length));
      const text = body.toString();
      expect(text).toContain(code);
      expect(text).toContain("request-1");
      if (!isHtml) expect(JSON.parse(text)).toMatchObject({ detail: refusals[code].sentence, remedy: refusals[code].remedy });
      else expect(text).toContain(escapeHtml(refusals[code].remedy));
    }
  });
});

describe("prefersHtml", () => {
  it.each([
    [undefined, false],
    ["*/*", false],
    ["application/json", false],
    ["text/html", true],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true],
    ["application/json, TEXT/HTML;q=0.5", true],
    ["text/html;q=0, */*", false],
    ["text/html; q=0.0", false],
    ["text/html;level=1", true],
    ["text/htmlx", false],
  ])("%s: %s", (accept, expected) => {
    expect(prefersHtml(accept)).toBe(expected);
  });
});

describe("renderPage", () => {
  it("nothing that comes from outside is markup", () => {
    const evil = `"><script>alert('1')</script>&`;
    const page = renderPage({
      type: "about:blank",
      title: evil,
      status: 503,
      detail: evil,
      instance: "",
      error: evil,
      code: "TUNNEL_OFFLINE",
      remedy: evil,
      requestId: evil,
      lastSeen: `2026-03-04T05:0${evil}`,
    });
    expect(page).not.toContain("<script");
    expect(page).not.toContain(`"><`);
    expect(page).toContain("&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)");
  });
});
