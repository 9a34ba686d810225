import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseClientConfigQuery } from "./client-config-query.ts";

const parse = (query: string) => parseClientConfigQuery(new URLSearchParams(query));
const parameterOf = (query: string) => {
  const verdict = parse(query);
  return verdict.granted ? "granted" : `${verdict.refusal.code} ${verdict.refusal.facts.parameter}`;
};

describe("parseClientConfigQuery", () => {
  it("has defaults, and ignores what it does not know", () => {
    expect(parse("other=1&exclusive=1")).toEqual({
      granted: true,
      value: { localPort: 8080, fileName: "frpc.toml", caPath: undefined, tokenFile: undefined },
    });
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
    const values = fc.array(fc.tuple(fc.constantFrom("port", "file", "caPath", "x"), value), { maxLength: 4 });
    fc.assert(
      fc.property(values, (pairs) => {
        const verdict = parseClientConfigQuery(new URLSearchParams(pairs));
        if (verdict.granted) expect(`${verdict.value.fileName}${verdict.value.caPath ?? ""}`).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]|\{\{/u);
      }),
    );
  });
});
