import { describe, expect, it } from "vitest";
import { type AppForTests, createAppForTests } from "../app-for-tests.ts";
import { problemSchema } from "../openapi-schemas.ts";

async function refusalOf(world: AppForTests, body: unknown, headers?: Record<string, string>, query?: string) {
  const answer = await world.post(body, headers, query);
  const problem = problemSchema.parse(await answer.json());
  expect(problem.status).toBe(answer.status);
  return problem;
}

describe("bodies", () => {
  const bytes = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  it.each([
    ["empty", "", "BODY_INVALID_JSON"],
    ["a byte order mark", bytes([0xef, 0xbb, 0xbf], "{}"), "BODY_INVALID_JSON"],
    ["invalid UTF-8", bytes('{"walletAddress":"', [0xff, 0xfe], '"}'), "BODY_INVALID_JSON"],
    ["a surrogate in UTF-8", bytes('{"walletAddress":"', [0xed, 0xa0, 0x80], '"}'), "BODY_INVALID_JSON"],
    ["UTF-16", Buffer.from("{}", "utf16le"), "BODY_INVALID_JSON"],
    ["a NUL", "{}\0", "BODY_INVALID_JSON"],
    ["two objects", "{}{}", "BODY_INVALID_JSON"],
    ["a list", "[]", "BODY_NOT_OBJECT"],
    ["null", "null", "BODY_NOT_OBJECT"],
    ["text", '"x"', "BODY_NOT_OBJECT"],
    ["infinity", "1e999", "BODY_NOT_OBJECT"],
    ["deep and unclosed", "[".repeat(4000), "BODY_INVALID_JSON"],
    ["deep and closed", `${"[".repeat(2000)}${"]".repeat(2000)}`, "BODY_NOT_OBJECT"],
    ["deep inside a field", `{"walletAddress":${"[".repeat(2000)}${"]".repeat(2000)}}`, "WALLET_REQUIRED"],
    ["too large", `{"pad":"${"x".repeat(4096)}"}`, "BODY_TOO_LARGE"],
  ])("%s: its own refusal", async (_, body, code) => {
    expect((await refusalOf(createAppForTests(), body)).code).toBe(code);
  });

  it("a body of 4096 bytes is read, and one of 4097 is not", async () => {
    expect(await refusalOf(createAppForTests(), `{}${" ".repeat(4095)}`)).toMatchObject({ code: "BODY_TOO_LARGE", limitBytes: 4096 });
    expect((await refusalOf(createAppForTests(), `{}${" ".repeat(4094)}`)).code).toBe("WALLET_REQUIRED");
  });

  it.each([
    ['{"timestamp":1,"walletAddress":"a","timestamp":2}', "BODY_DUPLICATE_KEY", "timestamp"],
    ['{"timestamp":{"a":1,"\\u0061":2}}', "BODY_DUPLICATE_KEY", "a"],
    ['{"__proto__":{"walletAddress":1}}', "UNKNOWN_FIELD", "__proto__"],
    ['{"constructor":{"prototype":{}}}', "UNKNOWN_FIELD", "constructor"],
    ['{"walletAddress":"a","WalletAddress":"b"}', "UNKNOWN_FIELD", "WalletAddress"],
    [`{"${"x".repeat(100)}":1}`, "UNKNOWN_FIELD", "x".repeat(64)],
  ])("%s is refused by the name of the field", async (body, code, field) => {
    expect(await refusalOf(createAppForTests(), body)).toMatchObject({ code, field });
    expect(({} as { walletAddress?: unknown }).walletAddress).toBeUndefined();
  });

  it.each([
    "",
    "text/plain",
    "application/jsonp",
    "application/json, text/plain",
    "application/x-www-form-urlencoded",
    "application/problem+json",
  ])("the content type %j is not JSON", async (type) => {
    expect((await refusalOf(createAppForTests(), "{}", { "content-type": type })).code).toBe("CONTENT_TYPE_UNSUPPORTED");
  });

  it.each(["application/json", "APPLICATION/JSON; charset=utf-8", "application/json;charset=utf-8;x=y"])(
    "the content type %j is",
    async (type) => {
      expect((await refusalOf(createAppForTests(), "{}", { "content-type": type })).code).toBe("WALLET_REQUIRED");
    },
  );

  it("a packed body is not unpacked", async () => {
    expect((await refusalOf(createAppForTests(), "{}", { "content-encoding": "gzip" })).code).toBe("CONTENT_ENCODING_UNSUPPORTED");
  });
});
