/**
 * A list of networks, for the one question whether an address lies in any of them. A family each: Node's own list finds an IPv4
 * address in `::/16` and in `::1/64` too, as the IPv6 address that it could be written as. Nobody means that: blocked, such a
 * network would shut everybody out, and trusted, it would let everybody choose his address.
 */
import { BlockList, isIPv4 } from "node:net";
import { canonicalAddress } from "./address-prefix.ts";

/** The list. */
export type SubnetList = {
  /** A network by an address in it, or that address alone. Bits of an IPv4 address that is written as IPv6 count from `::`. Throws for what is none. */
  add(address: string, bits?: number): void;
  /** The address (without port), in whatever spelling, lies in one of them. What is no address does not. */
  has(address: string): boolean;
};

/** Makes an empty one. */
export function createSubnetList(): SubnetList {
  const [ipv4, ipv6] = [new BlockList(), new BlockList()];
  return {
    add(text, bits) {
      const address = canonicalAddress(text);
      if (address === undefined) throw new TypeError(`${text} is no address`);
      if (!isIPv4(address)) ipv6.addSubnet(address, bits ?? 128, "ipv6");
      else ipv4.addSubnet(address, bits === undefined ? 32 : bits - (text.includes(":") ? 96 : 0), "ipv4");
    },
    has(text) {
      const address = canonicalAddress(text);
      if (address === undefined) return false;
      return isIPv4(address) ? ipv4.check(address, "ipv4") : ipv6.check(address, "ipv6");
    },
  };
}
