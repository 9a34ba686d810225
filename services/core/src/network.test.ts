import { BlockList } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createNetworkList, parseNetwork } from "./index.ts";

test.each([
  ["203.0.113.9", "203.0.113.9/32"],
  ["203.0.113.9/24", "203.0.113.0/24"],
  ["203.0.113.9/25", "203.0.113.0/25"],
  ["10.200.3.4/8", "10.0.0.0/8"],
  ["255.255.255.255/31", "255.255.255.254/31"],
  ["::ffff:203.0.113.9", "203.0.113.9/32"],
  ["::ffff:203.0.113.9/120", "203.0.113.0/24"],
  ["2001:DB8:0:0::1/32", "2001:db8::/32"],
  ["2001:db8::1", "2001:db8::1/128"],
  ["2001:db8:ffff::/33", "2001:db8:8000::/33"],
])("%s is the network %s, and so is that", (text, network) => {
  expect(parseNetwork(text)).toBe(network);
  expect(parseNetwork(network)).toBe(network);
});

test.each([
  "0.0.0.0/0",
  "1.2.3.4/7",
  "::/0",
  "2000::/15",
  "1.2.3.4/33",
  "1.2.3.4/024",
  "1.2.3.4/",
  "1.2.3/24",
  "01.2.3.4",
  "::1%lo/64",
  "::ffff:1.2.3.4/100",
  "2001:db8::/129",
  "localhost",
  "1.2.3.4/-8",
  "1.2.3.4/8.0",
  "",
  ` 1.2.3.4`,
  undefined,
  7,
])("%j is no network", (text) => expect(parseNetwork(text)).toBeUndefined());

test("an address is in a list exactly where it is in one of its networks, in any spelling", () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 8, max: 32 }), fc.ipV4(), (base, prefix, address) => {
      const network = parseNetwork(`${base}/${prefix}`);
      const oracle = new BlockList();
      oracle.addSubnet(base, prefix, "ipv4");
      const isIn = createNetworkList(network === undefined ? [] : [network]);
      expect(isIn(address)).toBe(oracle.check(address));
      expect(isIn(`::ffff:${address}`)).toBe(oracle.check(address));
      expect(isIn(base)).toBe(true);
    }),
  );
});

test("what is no address is in no network, and no list has anybody in it when it is empty", () => {
  const isIn = createNetworkList(["10.0.0.0/8", "2001:db8::/32"].flatMap((text) => parseNetwork(text) ?? []));
  expect(["10.1.2.3", "2001:DB8::9"].map(isIn)).toEqual([true, true]);
  expect(["10.1.2.3:80", "", "unknown", "11.0.0.1", "2001:db9::"].map(isIn)).toEqual([false, false, false, false, false]);
  expect(createNetworkList([])("10.1.2.3")).toBe(false);
});

test("an IPv4 address is in no network of IPv6, though it could be written as an address of one: ::/16 does not shut everybody out", () => {
  const isIn = createNetworkList(["::/16", "::1/64", "::fffe:0:0/95"].flatMap((text) => parseNetwork(text) ?? []));
  expect(["::1", "::fffe:1:2"].map(isIn)).toEqual([true, true]);
  expect(["203.0.113.9", "127.0.0.1", "::ffff:203.0.113.9"].map(isIn)).toEqual([false, false, false]);
});
