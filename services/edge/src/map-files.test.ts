/** The map files' form: what is printed is read back, and bad lines never hide good ones. */
import { type Label, type Network, parseLabel, parseNetwork } from "@keyhole/core";
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
        expect([...parseMap(renderMap(entries), parseLabel).entries]).toEqual(entries);
        expect(parseMap(renderMap(entries), parseLabel).badLines).toBe(0);
      }),
    );
  });

  it("networks are keys as labels are, in whatever spelling they were written", () => {
    const blocked = new Map(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"].map((text) => [parseNetwork(text) as Network, "since"]));
    expect(parseMap(renderMap(blocked), parseNetwork)).toEqual({ entries: blocked, badLines: 0 });
    const byHand = parseMap("192.0.2.9/24 a\n::ffff:198.51.100.7 b\n0.0.0.0/0 c\n2001:db8::/32\n", parseNetwork);
    expect(byHand).toEqual({
      entries: new Map([
        ["192.0.2.0/24", "a"],
        ["198.51.100.7/32", "b"],
      ]),
      badLines: 2,
    });
  });

  it("parse is total, and good lines survive among any others", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), label, (lines, good) => {
        const noise = lines.map((line) => line.replaceAll("\n", ""));
        const { entries } = parseMap([...noise, `${good} value`, ""].join("\n"), parseLabel);
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
