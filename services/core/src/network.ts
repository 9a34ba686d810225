/**
 * What an operator blocks: a wallet's label, or a network that clients and visitors come from. A network is written in CIDR
 * (RFC 4632, RFC 4291 §2.3) and kept in one spelling: host bits cleared, IPv4 inside IPv6 as IPv4.
 */
import { isIPv4 } from "node:net";
import { canonicalAddress, expandAddress } from "./address-prefix.ts";
import { createSubnetList } from "./subnet-list.ts";

declare const brand: unique symbol;

/** A network that `parseNetwork` made: `203.0.113.0/24`, `2001:db8::/32`. */
export type Network = string & { readonly [brand]: "Network" };

/** Wider than this, a slip of the finger shuts everybody out. */
const shortest = { 4: 8, 6: 16 } as const;

/**
 * Reads an address or a network. Undefined for anything else, and for a network wider than /8 (IPv4) or /16 (IPv6): that is no
 * abuser but the internet. A single address is a /32 or a /128. Never throws.
 *
 * @example
 * parseNetwork("203.0.113.9/24") // "203.0.113.0/24"
 */
export function parseNetwork(text: unknown): Network | undefined {
  if (typeof text !== "string" || text.length > 64) return undefined;
  const [, host = "", bits] = /^([0-9A-Fa-f.:]{2,45})(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? [];
  const address = canonicalAddress(host);
  if (address === undefined) return undefined;
  const isMapped = isIPv4(address) && host.includes(":");
  const length = isIPv4(address) ? 32 : 128;
  const prefix = bits === undefined ? length : Number(bits) - (isMapped ? 96 : 0);
  if (prefix > length || prefix < (isIPv4(address) ? shortest[4] : shortest[6])) return undefined;
  const masked = isIPv4(address) ? maskIPv4(address, prefix) : maskIPv6(address, prefix);
  return `${masked}/${prefix}` as Network;
}

/** Says whether an address (without port) lies in one of the networks. Nothing that is no address does. */
export function createNetworkList(networks: Iterable<Network>): (address: string) => boolean {
  const list = createSubnetList();
  let isEmpty = true;
  for (const network of networks) {
    const slash = network.lastIndexOf("/");
    list.add(network.slice(0, slash), Number(network.slice(slash + 1)));
    isEmpty = false;
  }
  return (address) => !isEmpty && list.has(address);
}

function maskIPv4(address: string, prefix: number): string {
  const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const masked = prefix === 32 ? number : number - (number % 2 ** (32 - prefix));
  return [24, 16, 8, 0].map((shift) => Math.floor(masked / 2 ** shift) % 256).join(".");
}

function maskIPv6(address: string, prefix: number): string {
  const groups = expandAddress(address).map((group, index) => {
    const kept = Math.min(16, Math.max(0, prefix - index * 16));
    return (group & (0xffff << (16 - kept)) & 0xffff).toString(16);
  });
  return canonicalAddress(groups.join(":")) ?? address;
}
