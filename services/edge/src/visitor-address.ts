/**
 * Whose request it is when a proxy of ours stands before the edge: the nearest address of `X-Forwarded-For` that is none of
 * our proxies. Only a peer that is one may say so; from everybody else that header changes nothing, or a visitor could
 * choose the address that limits and apps see.
 */
import { canonicalAddress, createSubnetList, type SubnetList } from "@keyhole/core";
import { plainAddress } from "./addresses.ts";

/** The visitor's address of a request: `peer` is who the connection comes from. */
export type DeriveVisitorAddress = (peer: string | undefined, rawHeaders: readonly string[]) => string;

/** Reads the networks once. Throws a TypeError for what is neither an address nor a CIDR. */
export function createVisitorAddress(trustedProxies: readonly string[]): DeriveVisitorAddress {
  const trusted = createSubnetList();
  for (const network of trustedProxies) addNetwork(trusted, network);

  return (peer, rawHeaders) => {
    const plain = plainAddress(peer);
    if (trustedProxies.length === 0) return plain;
    let address = canonicalAddress(plain) ?? plain;
    for (const hop of readForwardedFor(rawHeaders)) {
      if (!trusted.has(address)) break;
      // What is no address says nothing about whom it hides: it is then the last proxy's own request.
      if (hop === undefined) break;
      address = hop;
    }
    return address;
  };
}

/** Every hop that the header names, nearest first, over all its lines; undefined for what is no address. */
function* readForwardedFor(rawHeaders: readonly string[]): Iterable<string | undefined> {
  for (let index = rawHeaders.length - (rawHeaders.length % 2) - 2; index >= 0; index -= 2) {
    const name = rawHeaders[index] as string;
    if (name.length !== 15 || name.toLowerCase() !== "x-forwarded-for") continue;
    for (const hop of (rawHeaders[index + 1] as string).split(",").reverse()) yield readHop(hop.trim());
  }
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`. */
function readHop(text: string): string | undefined {
  const bare = /^\[([^\]]*)\](?::[0-9]{1,5})?$/.exec(text)?.[1] ?? text.replace(/^([0-9.]+):[0-9]{1,5}$/, "$1");
  return canonicalAddress(bare);
}

function addNetwork(list: SubnetList, text: string): void {
  const [address = "", length, ...more] = text.split("/");
  const canonical = canonicalAddress(address);
  const isV6 = canonical?.includes(":") === true;
  const width = isV6 ? 128 : 32;
  // An IPv4 network that is written as IPv6 counts its bits from there.
  const shift = !isV6 && address.includes(":") ? 96 : 0;
  const prefix = length === undefined ? width : Number(length) - shift;
  const isWhole = length === undefined || /^[0-9]{1,3}$/.test(length);
  if (canonical === undefined || !isWhole || more.length > 0 || prefix < 0 || prefix > width) {
    throw new TypeError(`edge.trustedProxies: "${text}" is neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32`);
  }
  list.add(canonical, prefix);
}
