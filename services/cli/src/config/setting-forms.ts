/** Forms of settings: text and numbers, and what takes more than a pattern to check: networks, and the address of the gateway. */
import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";
import { z } from "zod";

/** Any text. */
export const text = z.string("must be text in quotes");

/** A whole number within bounds. */
export function wholeNumber(least: number, most: number, example: number) {
  const sentence = `must be a whole number from ${least} to ${most}, as in ${example}`;
  return z.int(sentence).min(least, sentence).max(most, sentence);
}

/** Networks as CIDRs. One address alone becomes a network of its own. */
export const networks = z
  .array(z.string("must be texts such as 10.0.0.0/8"), 'must be a list, as in ["10.0.0.0/8"]')
  .transform((entries, context): readonly string[] =>
    entries.map((entry) => {
      const result = parseNetwork(entry);
      if ("network" in result) return result.network;
      context.addIssue({ code: "custom", message: `${JSON.stringify(entry.slice(0, 60))} ${result.problem}` });
      return z.NEVER;
    }),
  );

function parseNetwork(entry: string): { readonly network: string } | { readonly problem: string } {
  const [address = "", bits, ...rest] = entry.split("/");
  if (isIP(address) === 0 || address.includes("%") || rest.length > 0)
    return { problem: "is not a network such as 10.0.0.0/8, 2001:db8::/32 or 203.0.113.7" };
  const width = isIPv4(address) ? 32 : 128;
  if (canonical(address).startsWith("::ffff:")) return { problem: "is an IPv4 address written as IPv6: write it as IPv4" };
  if (bits === undefined) return { network: `${address}/${width}` };
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(bits) || Number(bits) > width)
    return { problem: `must end with /0 to /${width}: how many bits the addresses of the network share` };
  if (bits === "0") return { problem: "is everybody: then every visitor could pretend to be another" };
  const network = firstAddress(address, Number(bits));
  return network === canonical(address)
    ? { network: `${address}/${bits}` }
    : { problem: `is not where a network begins; did you mean ${network}/${bits}?` };
}

/** The lowest address of the network, printed as `canonical` does. */
function firstAddress(address: string, bits: number): string {
  const groups = isIPv4(address) ? address.split(".").map(Number) : expand(address);
  const size = isIPv4(address) ? 8 : 16;
  const masked = groups.map((group, index) => {
    const kept = Math.min(Math.max(bits - index * size, 0), size);
    return group & (((1 << kept) - 1) << (size - kept));
  });
  return canonical(isIPv4(address) ? masked.join(".") : masked.map((group) => group.toString(16)).join(":"));
}

const canonical = (address: string): string => (isIPv6(address) ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address);

function expand(address: string): readonly number[] {
  const [head = "", tail] = canonical(address).split("::");
  const parse = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  if (tail === undefined) return parse(head);
  const [first, last] = [parse(head), parse(tail)];
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** The base address of the gateway, without a slash at its end. */
export const gatewayUrl = text.transform((words, context): string => {
  const url = URL.canParse(words) ? new URL(words) : undefined;
  const problem =
    url === undefined || !/^https?:$/.test(url.protocol) ? "must be a URL such as https://gateway.example.org" : findUrlProblem(url, words);
  if (problem === undefined) return (url?.href ?? words).replace(/\/+$/, "");
  context.addIssue({ code: "custom", message: problem });
  return z.NEVER;
});

const loopbackAddresses = new BlockList();
loopbackAddresses.addSubnet("127.0.0.0", 8);

function findUrlProblem(url: URL, words: string): string | undefined {
  if (url.username !== "" || url.password !== "") return "must not hold a user or a password: settings are no secrets";
  if (words.includes("?") || words.includes("#")) return "must not have a query or a fragment: it is where the gateway's paths begin";
  const isLoopback =
    url.hostname === "localhost" || url.hostname === "[::1]" || (isIPv4(url.hostname) && loopbackAddresses.check(url.hostname));
  return url.protocol === "http:" && !isLoopback
    ? "must be https, for anybody on the way could answer in its name; http only on loopback"
    : undefined;
}
