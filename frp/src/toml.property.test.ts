import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { renderComment, renderToml, type TomlValue } from "./toml.ts";

/** Strings that hurt: braces, quotes, escapes, line ends, all of Unicode. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("{", "}", '"', "\\", "\n", "'", "#", " ", "u007b", "[") }),
  fc.constantFrom("{{ .Envs.HOME }}", '{{ "', '"""', "\\u007b\\u007b", "\u0000\u007f\u2028"),
);
const scalar = fc.oneof(text, fc.boolean(), fc.integer());
const table = fc.dictionary(
  text,
  fc.oneof(scalar, fc.array(scalar, { maxLength: 4 }), fc.dictionary(text, fc.oneof(scalar, fc.dictionary(text, scalar)))),
  {
    maxKeys: 6,
    noNullPrototype: true,
  },
) as fc.Arbitrary<Record<string, TomlValue>>;

describe("renderToml", () => {
  it("8: what is parsed back is what was rendered, for every table", () => {
    fc.assert(
      fc.property(table, (value) => {
        expect(parse(renderToml(value))).toEqual(value);
      }),
    );
  });

  it("8: no value and no key can reach frp's templating", () => {
    fc.assert(
      fc.property(table, (value) => {
        expect(renderToml(value)).not.toContain("{{");
      }),
    );
  });

  it("refuses half a surrogate pair instead of changing it", () => {
    expect(() => renderToml({ name: "\ud800" })).toThrow(TypeError);
  });
});

describe("renderComment", () => {
  it("stays one comment line without templating, whatever is in it", () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: fc.constantFrom("{", "\n", "\r", "x") })), (comment) => {
        const line = renderComment(comment);
        expect(line).toMatch(/^#[^\r\n]*$/);
        expect(line).not.toContain("{{");
        expect(parse(line)).toEqual({});
      }),
    );
  });
});
