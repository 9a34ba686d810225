/**
 * Addresses as other programs print them: `ip:port` with brackets around IPv6, and never an IPv4 address dressed as IPv6
 * (a listener on `::` sees `::ffff:192.0.2.1`). frps prints the far end of a connection in the same way (Go's
 * `RemoteAddr().String()`), so both sides mean one connection by one text.
 */
import { canonicalAddress } from "@keyhole/core";

/** `::ffff:192.0.2.1` is `192.0.2.1`; everything else stays. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "unknown";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** `192.0.2.1:443` or `[2001:db8::1]:443`. */
export function printEndpoint(address: string | undefined, port: number | undefined): string {
  const plain = plainAddress(address);
  return plain.includes(":") ? `[${plain}]:${port ?? 0}` : `${plain}:${port ?? 0}`;
}

/** What limits are counted by: an IPv4 address, or the /64 of an IPv6 one. What is no address is counted as one. */
export function countedNetwork(address: string): string {
  const canonical = canonicalAddress(address);
  if (canonical === undefined) return "unknown";
  if (!canonical.includes(":")) return canonical;
  const [head = "", tail] = canonical.split("::");
  const groups = head === "" ? [] : head.split(":");
  // Behind `::` may stand what belongs to the first four groups: `1::2:3:4:5:6` has zeros in its second and third.
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  if (tail !== undefined) while (groups.length + after.length < 8) groups.push("0");
  return `${[...groups, ...after].slice(0, 4).join(":")}::/64`;
}
