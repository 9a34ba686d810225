import type { Label } from "@keyhole/core";
import type { NewProxyContent } from "@keyhole/frp";
import { describe, expect, it } from "vitest";
import { deriveProxy, finalCodes, judgeProxy } from "./proxy-rules.ts";

const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label;
const other = "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359";

/** A NewProxy as frps tells of it. */
function proxyOf(fields: Record<string, unknown> = {}): NewProxyContent {
  const raw = { user: { user: label }, proxy_name: `${label}.app`, proxy_type: "http", subdomain: label, ...fields };
  return {
    user: { user: label, metas: {}, runId: "r" },
    proxyName: String(raw.proxy_name),
    proxyType: String(raw.proxy_type),
    subdomain: String(raw.subdomain),
    raw,
  };
}
const judge = (fields: Record<string, unknown>): string => judgeProxy(proxyOf(fields), label)?.code ?? "allowed";

describe("what a proxy may ask for", () => {
  it("1: is its own label, or nothing", () => {
    for (const subdomain of [label, label.toUpperCase(), ""]) expect(judge({ subdomain })).toBe("allowed");
    for (const subdomain of [other, "*", `${label}.x`, ` ${label}`]) expect(judge({ subdomain })).toBe("SUBDOMAIN_NOT_OWNED");
  });

  it("1: is type http to the letter", () => {
    for (const type of ["tcp", "", "HTTP", "http "]) expect(judge({ proxy_type: type })).toBe("PROXY_TYPE");
  });

  it.each([
    ["custom_domains", ["x"], "CUSTOM_DOMAIN_FORBIDDEN"],
    ["locations", [""], "LOCATIONS_FORBIDDEN"],
    ["group", "g", "GROUP_FORBIDDEN"],
    ["group_key", "k", "GROUP_FORBIDDEN"],
    ["host_header_rewrite", "x", "HOST_REWRITE_FORBIDDEN"],
    ["response_headers", { a: "b" }, "RESPONSE_HEADERS_FORBIDDEN"],
    ["use_encryption", true, "TRANSPORT_OPTION"],
    ["use_compression", true, "TRANSPORT_OPTION"],
    ["annotations", { a: "b" }, "ANNOTATIONS_FORBIDDEN"],
    ["headers", { a: "b" }, "PROXY_FIELD"],
    ["http_user", "x", "PROXY_FIELD"],
    ["route_by_http_user", "x", "PROXY_FIELD"],
    ["remote_port", 80, "PROXY_FIELD"],
    ["sk", "x", "PROXY_FIELD"],
    ["multiplexer", "x", "PROXY_FIELD"],
    ["a field of a frp to come", "yes", "PROXY_FIELD"],
    ["constructor", 1, "PROXY_FIELD"],
  ])("1: is no %s, which is refused for good; empty it is nothing", (field, value, code) => {
    expect(judge({ [field]: value })).toBe(code);
    expect(finalCodes.has(code as never)).toBe(true);
    for (const empty of [undefined, null, "", 0, false, [], {}]) expect(judge({ [field]: empty })).toBe("allowed");
  });

  it("names the field that it does not know, cut to what a line can hold", () => {
    expect(judgeProxy(proxyOf({ ["x".repeat(90)]: 1 }), label)?.facts).toEqual({ field: "x".repeat(40) });
  });

  it("may say what it is and limit itself: that is dropped", () => {
    expect(judge({ metas: { a: "b" }, bandwidth_limit: "1MB", bandwidth_limit_mode: "server" })).toBe("allowed");
  });
});

describe("a proxy's name", () => {
  it.each([
    label,
    label.toUpperCase(),
    `${label}.`,
    `${label}.app`,
    `${label}.personal-server`,
    `personal-server-${label}`,
    "ps-0123abcd",
    "PS-0123ABCD",
  ])("may be %s", (name) => {
    expect(judge({ proxy_name: name })).toBe("allowed");
  });
  it.each([
    other,
    `${other}.app`,
    `personal-server-${other}`,
    "ps-0123abc",
    "ps-0123abcg",
    "ps-0123abcd0",
    "ps-0123abcd.x",
    "xps-0123abcd",
    "web",
    "",
    `${label}. `,
    `${label}x`,
  ])("1: may not be %j, which another could need", (name) => {
    expect(judge({ proxy_name: name })).toBe("PROXY_NAME");
  });
  it("1: has at most 128 printable characters", () => {
    expect(judge({ proxy_name: `${label}.`.padEnd(128, "a") })).toBe("allowed");
    expect(judge({ proxy_name: `${label}.`.padEnd(129, "a") })).toBe("PROXY_NAME");
    for (const bad of [" ", "\n", "\u007f", "\u00fc"]) expect(judge({ proxy_name: `${label}.a${bad}` })).toBe("PROXY_NAME");
  });
  it("1, 13: may not be the one that every personal server once had", () => {
    expect(judge({ proxy_name: "personal-server" })).toBe("PROXY_NAME_SHARED");
    expect(judge({ proxy_name: "Personal-Server" })).toBe("PROXY_NAME");
  });
});

it("1: what frps registers is rebuilt: of the client's own there is the name, and whose it is", () => {
  const written = { host: "0xABC.example", marker: "x-mark", scheme: "https" } as const;
  expect(deriveProxy(proxyOf({ metas: { a: "b" }, bandwidth_limit: "1MB", subdomain: label }), written)).toEqual({
    user: { user: label },
    proxy_name: `${label}.app`,
    proxy_type: "http",
    custom_domains: ["0xABC.example"],
    headers: { "X-Forwarded-Proto": "https" },
    response_headers: { "x-mark": "1" },
  });
});
