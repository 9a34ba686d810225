/** Whose request it is: the peer's, unless the peer is a proxy of ours; then the nearest address that is none of ours. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createVisitorAddress } from "./visitor-address.ts";

const derive = createVisitorAddress(["10.0.0.0/8", "192.0.2.7", "2001:db8:ffff::/48"]);
const said = (...values: string[]): string[] => values.flatMap((value) => ["X-Forwarded-For", value]);

describe("the visitor's address", () => {
  it.each([
    ["one hop", "10.1.2.3", said("203.0.113.9"), "203.0.113.9"],
    ["a peer dressed as IPv6", "::ffff:10.1.2.3", said("203.0.113.9"), "203.0.113.9"],
    ["an IPv6 peer", "2001:db8:ffff::1", said("2001:DB8:0::5"), "2001:db8::5"],
    ["the nearest that is not ours", "10.1.2.3", said("6.6.6.6, 203.0.113.9, 10.9.9.9, 192.0.2.7"), "203.0.113.9"],
    ["several lines, read as one", "10.1.2.3", said("6.6.6.6", "203.0.113.9", "10.9.9.9"), "203.0.113.9"],
    ["a mapped hop", "10.1.2.3", said("::ffff:203.0.113.9"), "203.0.113.9"],
    ["ports and brackets", "10.1.2.3", said("[2001:db8::5]:4711, 10.4.4.4:80"), "2001:db8::5"],
    ["brackets alone", "10.1.2.3", said("[2001:db8::5]"), "2001:db8::5"],
    ["only ours", "10.1.2.3", said("10.5.5.5, 10.6.6.6"), "10.5.5.5"],
    ["nothing said", "10.1.2.3", [], "10.1.2.3"],
    ["empty", "10.1.2.3", said(""), "10.1.2.3"],
    ["no address: whoever wrote it", "10.1.2.3", said("203.0.113.9, unknown, 10.6.6.6"), "10.6.6.6"],
    ["a name", "10.1.2.3", said("203.0.113.9.evil.example"), "10.1.2.3"],
    ["another spelling of the name", "10.1.2.3", ["x-FORWARDED-for", "203.0.113.9"], "203.0.113.9"],
    ["an underscore is another header", "10.1.2.3", ["X_Forwarded_For", "6.6.6.6"], "10.1.2.3"],
    ["Forwarded is not read", "10.1.2.3", ["Forwarded", "for=6.6.6.6"], "10.1.2.3"],
    ["a stranger may say what it likes", "198.51.100.1", said("10.1.2.3, 6.6.6.6"), "198.51.100.1"],
    ["a stranger dressed as IPv6", "::ffff:198.51.100.1", said("6.6.6.6"), "198.51.100.1"],
    ["a neighbour of a single proxy", "192.0.2.8", said("6.6.6.6"), "192.0.2.8"],
    ["a peer that is gone", undefined, said("6.6.6.6"), "unknown"],
  ])("%s", (_what, peer, headers, expected) => {
    expect(derive(peer, headers)).toBe(expected);
  });

  it("without proxies of ours the header changes nothing, whatever it says", () => {
    const alone = createVisitorAddress([]);
    fc.assert(
      fc.property(fc.ipV4(), fc.array(fc.string(), { maxLength: 3 }), (peer, values) => {
        expect(alone(peer, said(...values))).toBe(peer);
      }),
    );
  });

  it("is always the peer or an address that was said, for all headers there are", () => {
    const hop = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constantFrom("10.0.0.1", "192.0.2.7", "unknown", "[::1]:1"));
    fc.assert(
      fc.property(fc.array(fc.array(hop, { maxLength: 4 }), { maxLength: 3 }), (lines) => {
        const address = derive("10.1.1.1", said(...lines.map((line) => line.join(", "))));
        expect(address).toMatch(/^(?:[0-9.]+|[0-9a-f:]+)$/);
      }),
    );
  });

  it("no IPv4 address is a proxy because a network of IPv6 is, though it could be written as an address of it", () => {
    const loopback = createVisitorAddress(["::1/64"]);
    expect(["198.51.100.1", "::ffff:198.51.100.1", "::1"].map((peer) => loopback(peer, said("6.6.6.6")))).toEqual([
      "198.51.100.1",
      "198.51.100.1",
      "6.6.6.6",
    ]);
  });

  it("a network that is written as IPv6 is the IPv4 one, and every bit counts", () => {
    const mapped = createVisitorAddress(["::ffff:198.51.100.0/121"]);
    expect(["198.51.100.127", "198.51.100.128"].map((peer) => mapped(peer, said("6.6.6.6")))).toEqual(["6.6.6.6", "198.51.100.128"]);
    expect(createVisitorAddress(["0.0.0.0/0"])("8.8.8.8", said("6.6.6.6, 7.7.7.7"))).toBe("6.6.6.6");
  });

  it.each(["", "proxy.example", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0/8", "::/129", "::ffff:10.0.0.0/95", "10.0.0.0/-1"])(
    "%s is refused as a network",
    (text) => {
      expect(() => createVisitorAddress([text])).toThrow(TypeError);
    },
  );
});
