import { expect, test } from "vitest";
import { canonicalAddress, deriveAddressPrefix } from "./index.ts";

test.each([
  ["1.2.3.4", "1.2.3.0/24"],
  ["::ffff:1.2.3.200", "1.2.3.0/24"],
  ["::FFFF:0102:0304", "1.2.3.0/24"],
  ["2001:db8::1", "2001:db8:0:0::/56"],
  ["2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8:0:0::/56"],
  ["2001:db8:0:ff::1", "2001:db8:0:0::/56"],
  ["2001:db8:0:100::1", "2001:db8:0:100::/56"],
  ["fe80::1%eth0", "fe80:0:0:0::/56"],
  ["::", "0:0:0:0::/56"],
  ["localhost", "unknown"],
  ["1.2.3.4:80", "unknown"],
  ["", "unknown"],
])("%s is counted with %s", (address, prefix) => expect(deriveAddressPrefix(address)).toBe(prefix));

test("spellings of one address are one address", () => {
  const spellings = ["2001:db8::1", "2001:DB8:0::1", "2001:db8:0:0:0:0:0:1", "2001:0db8::0001"];
  expect(new Set(spellings.map((text) => canonicalAddress(text)))).toEqual(new Set(["2001:db8::1"]));
  expect(canonicalAddress("::ffff:7f00:1")).toBe("127.0.0.1");
  expect(canonicalAddress("[::1]")).toBeUndefined();
});
