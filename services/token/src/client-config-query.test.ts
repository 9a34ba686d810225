import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTokenQuery, refuseQuery } from "./client-config-query.ts";

const parse = (query: string) => parseTokenQuery(new URLSearchParams(query));
const parameterOf = (query: string) => {
  const verdict = parse(query);
  return verdict.granted ? "granted" : `${verdict.refusal.code} ${verdict.refusal.facts.parameter}`;
};

describe("parseTokenQuery", () => {
  it("has defaults", () => {
    const config = { localPort: 8080, fileName: "frpc.toml", caPath: undefined, tokenFile: undefined };
    expect(parse("")).toEqual({ granted: true, value: { config, isExclusive: false } });
    expect(parse("exclusive=1")).toEqual({ granted: true, value: { config, isExclusive: true } });
  });

  it.each([
    ["exclusve=1", "exclusve", "there is no such parameter here"],
    ["prot=80", "prot", "there is no such parameter here"],
    ["Port=80", "Port", "there is no such parameter here"],
    ["port=80&x", "x", "there is no such parameter here"],
    ["=1", "", "there is no such parameter here"],
    ["__proto__=1", "__proto__", "there is no such parameter here"],
    [`${"x".repeat(100)}=1`, "x".repeat(64), "there is no such parameter here"],
    ["exclusive=1&exclusive=1", "exclusive", "stands twice"],
    ["tokenFile=/a&tokenFile=/a", "tokenFile", "stands twice"],
    ["exclusive=0", "exclusive", "must be 1, or left out"],
    ["port=http", "port", "must be a whole number from 1 to 65535"],
    ["file=a/b", "file", "must be a file's name: 1 to 64 of A-Z a-z 0-9 . _ -"],
    ["tokenFile=token.jwt", "tokenFile", "must be an absolute path"],
    ["caPath=/a%00", "caPath", "must be at most 512 printable characters in UTF-8"],
    ["caPath=/{{x", "caPath", "must not hold {{ or }}"],
  ])("%s: tells the parameter and the reason", (query, parameter, reason) => {
    expect(parse(query)).toEqual({ granted: false, refusal: { code: "QUERY_MALFORMED", facts: { parameter, reason } } });
  });

  it.each([
    "port=1",
    "port=65535",
    "file=a",
    "file=.frpc.toml",
    "caPath=/etc/ca.pem",
    "tokenFile=/home/me/token.jwt",
    "tokenFile=C:\\token.jwt",
    "caPath=C:\\ca.pem",
    "caPath=C:/ca.pem",
    "caPath=\\\\host\\share\\ca.pem",
    `caPath=${encodeURIComponent("C:\\Jörg\\ca.pem")}`,
  ])("takes %s", (query) => {
    expect(parameterOf(query)).toBe("granted");
  });

  it.each([
    [
      "port",
      ["port=", "port=0", "port=65536", "port=080", "port=8080.0", "port=-1", "port=1e3", "port=%2B80", "port=8080&port=8080", "port=٨٠"],
    ],
    ["file", ["file=", "file=.", "file=..", "file=a/b", "file=a%0Ab", "file=a%22b", "file=a b", `file=${"a".repeat(65)}`, "file=a&file=a"]],
    [
      "caPath",
      [
        "caPath=",
        "caPath=ca.pem",
        "caPath=./ca",
        "caPath=C:ca",
        "caPath=/a%0Ab",
        "caPath=/a%00",
        "caPath=/%FF",
        "caPath=/a%E2%80%A8b",
        "caPath=/{{.Envs.HOME}}",
        `caPath=/${"a".repeat(512)}`,
      ],
    ],
  ])("refuses every other %s", (parameter, queries) => {
    for (const query of queries) expect([query, parameterOf(query)]).toEqual([query, `QUERY_MALFORMED ${parameter}`]);
  });

  it("is total, and what it grants is one printable line that no template reads", () => {
    const value = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "binary" }).map((text) => `/${text}`),
    );
    const values = fc.array(fc.tuple(fc.constantFrom("port", "file", "caPath", "tokenFile", "x"), value), { maxLength: 4 });
    fc.assert(
      fc.property(values, (pairs) => {
        const verdict = parseTokenQuery(new URLSearchParams(pairs));
        if (!verdict.granted) return;
        const { fileName, caPath = "", tokenFile = "" } = verdict.value.config;
        expect(`${fileName}${caPath}${tokenFile}`).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]|\{\{/u);
      }),
    );
  });
});

describe("refuseQuery", () => {
  it("grants no query, and names the first parameter of any other", () => {
    expect(refuseQuery(new URLSearchParams("")).granted).toBe(true);
    expect(refuseQuery(new URLSearchParams("exclusive=1&x=2"))).toMatchObject({ refusal: { facts: { parameter: "exclusive" } } });
  });
});
