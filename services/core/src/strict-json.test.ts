import { expect, test } from "vitest";
import { parseStrictJson } from "./index.ts";

test.each([
  ['{"a":1,"a":2}', "a"],
  ['{"a":1,"\\u0061":2}', "a"],
  ['{"b":{"a":1},"c":[{"x":1,"y":{},"x":2}]}', "x"],
  ['{"a":[1,{"b":1}],"c":"d","a":1}', "a"],
  ['{"":1,"":2}', ""],
  ['{"__proto__":1,"__proto__":2}', "__proto__"],
])("%s names a member twice", (text, name) => expect(parseStrictJson(text)).toEqual({ kind: "duplicate", name }));

test.each([
  '{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}',
  '{"a":"a","b":"a"}',
  '["a","a","a"]',
  '{"a":["b","b"],"b":"{\\"a\\":1,\\"a\\":2}"}',
  '"x"',
  "null",
  "{}",
])("%s is read as it is", (text) => expect(parseStrictJson(text)).toEqual({ kind: "value", value: JSON.parse(text) }));

test.each(["", "{", '{"a":1}x', "\ufeff{}", "{'a':1}"])("%j is no JSON", (text) =>
  expect(parseStrictJson(text)).toEqual({ kind: "not-json" }),
);

test("bytes that are no UTF-8, or begin with a byte order mark, are no JSON", () => {
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0xef, 0xbb, 0xbf, 0x7b, 0x7d],
  ]) {
    expect(parseStrictJson(Uint8Array.from(bytes))).toEqual({ kind: "not-json" });
  }
  expect(parseStrictJson(Buffer.from('{"ä":1}'))).toEqual({ kind: "value", value: { ä: 1 } });
});
