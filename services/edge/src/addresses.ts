/**
 * Addresses as other programs print them: `ip:port` with brackets around IPv6, and never an IPv4 address dressed as IPv6
 * (a listener on `::` sees `::ffff:192.0.2.1`). frps prints the far end of a connection in the same way (Go's
 * `RemoteAddr().String()`), so both sides mean one connection by one text.
 */

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
