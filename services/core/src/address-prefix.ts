/**
 * The network that an address is counted with: a /24 of IPv4, a /56 of IPv6, since whoever has one address has its
 * neighbours too. An IPv4 address written as IPv6 (`::ffff:1.2.3.4`) is the IPv4 address; spellings do not count.
 */
import { isIPv4, isIPv6 } from "node:net";

/** An IP address without port: canonical, or undefined when it is none. IPv6 zones (`%eth0`) are dropped. */
export function canonicalAddress(text: string): string | undefined {
  const address = text.replace(/%.*$/, "");
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return undefined;
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped === null) return canonical;
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/**
 * The prefix of an address: `203.0.113.0/24`, `2001:db8:0:4500::/56`. What is no address is a prefix of its own, so that
 * nobody escapes a limit by it. Never throws.
 *
 * @example
 * deriveAddressPrefix("::ffff:203.0.113.9") // "203.0.113.0/24"
 */
export function deriveAddressPrefix(text: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) return "unknown";
  if (isIPv4(address)) return `${address.split(".").slice(0, 3).join(".")}.0/24`;
  const groups = expandAddress(address).slice(0, 4);
  const last = (groups[3] ?? 0) & 0xff00;
  return `${[...groups.slice(0, 3), last].map((group) => group.toString(16)).join(":")}::/56`;
}

/** The eight groups of a canonical IPv6 address. */
export function expandAddress(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const parse = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  if (tail === undefined) return parse(head);
  const [first, last] = [parse(head), parse(tail)];
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}
