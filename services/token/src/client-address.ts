/**
 * Whom a request is counted with. The peer of the socket, unless it is the edge (it proves that with a password in
 * `X-Keyhole-Edge`) or one of our own proxies: then the right-most address of `X-Forwarded-For` that is not one of our
 * proxies itself. What stands further left was written by the client, and means nothing.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { canonicalAddress, createSubnetList, type SubnetList } from "@keyhole/core";
import type { TokenAppSettings } from "./token-app-deps.ts";

/** A request as this reader needs it. `peer` is undefined when the app is called without a port. */
type RequestSource = { readonly peer: string | undefined; header(name: string): string | undefined };

/** What stands for the address of a request that has none. */
const unknownAddress = "unknown";

/** Makes the reader. Throws when `trustedProxies` has something that is no CIDR. */
export function createClientAddressReader({
  edgePassword,
  trustedProxies,
}: Pick<TokenAppSettings, "edgePassword" | "trustedProxies">): (source: RequestSource) => string {
  const proxies = listProxies(trustedProxies);
  const isProxy = (address: string): boolean => trustedProxies.length > 0 && proxies.has(address);
  const password = edgePassword === "" ? undefined : digest(edgePassword);
  const isEdge = (text: string | undefined): boolean =>
    text !== undefined && password !== undefined && timingSafeEqual(digest(text), password);
  return ({ peer, header }) => {
    const address = canonicalAddress(peer ?? "") ?? unknownAddress;
    const isBelieved = isEdge(header("x-keyhole-edge")) || (address !== unknownAddress && isProxy(address));
    const forwarded = isBelieved ? header("x-forwarded-for") : undefined;
    if (forwarded === undefined) return address;
    let client = address;
    for (const text of forwarded.split(",").reverse()) {
      client = canonicalAddress(text.trim()) ?? unknownAddress;
      if (client === unknownAddress || !isProxy(client)) break;
    }
    return client;
  };
}

/** Of equal length whatever was sent, so that the comparison takes the same time. */
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

function listProxies(cidrs: readonly string[]): SubnetList {
  const list = createSubnetList();
  for (const cidr of cidrs) {
    const [address = "", length] = cidr.split("/");
    list.add(address, length === undefined ? undefined : Number(length));
  }
  return list;
}
