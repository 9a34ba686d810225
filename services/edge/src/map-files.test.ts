/** The map files' form: what is printed is read back, and bad lines never hide good ones. */
import { type Label, parseLabel } from "@keyhole/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainAddress, printEndpoint } from "./addresses.ts";
import { parseMap, renderMap } from "./map-files.ts";

const label = fc
  .stringMatching(/^[0-9a-f]{40}$/)
  .map((digits) => parseLabel(`0x${digits}`))
  .filter((found): found is Label => found !== undefined);

describe("map files", () => {
  it("parse(render(x)) is x", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(label, fc.stringMatching(/^[!-~]{1,30}$/)), { selector: ([key]) => key }), (entries) => {
        expect([...parseMap(renderMap(entries)).entries]).toEqual(entries);
        expect(parseMap(renderMap(entries)).badLines).toBe(0);
      }),
    );
  });

  it("parse is total, and good lines survive among any others", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), label, (lines, good) => {
        const noise = lines.map((line) => line.replaceAll("\n", ""));
        const { entries } = parseMap([...noise, `${good} value`, ""].join("\n"));
        expect(entries.get(good)).toBe("value");
      }),
    );
  });
});

describe("addresses", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1:5"],
    ["::ffff:192.0.2.1", "192.0.2.1:5"],
    ["2001:db8::1", "[2001:db8::1]:5"],
    ["::1", "[::1]:5"],
  ])("%s prints as Go does: %s", (address, expected) => {
    expect(printEndpoint(address, 5)).toBe(expected);
  });

  it("an address that is gone is said to be unknown", () => {
    expect(plainAddress(undefined)).toBe("unknown");
  });
});
