/**
 * The networks that are blocked, and the one question everybody with an address asks: is it in one of them? Nothing is
 * looked at while none is blocked; otherwise an answer takes about a microsecond, however many there are.
 */
import { createNetworkList, type Network } from "@keyhole/core";

export type BlockedNetworks = {
  /** The address (without port) lies in a blocked network, in whatever spelling. What is no address does not. */
  isBlocked(address: string): boolean;
  block(network: Network): void;
  /** Takes out exactly this one: what lies in another blocked network too stays blocked. */
  unblock(network: Network): void;
  replaceAll(networks: Iterable<Network>): void;
};

export function createBlockedNetworks(start: Iterable<Network>): BlockedNetworks {
  let networks = new Set(start);
  let isIn = createNetworkList(networks);
  return {
    isBlocked: (address) => isIn(address),
    block(network) {
      networks.add(network);
      isIn = createNetworkList(networks);
    },
    unblock(network) {
      networks.delete(network);
      isIn = createNetworkList(networks);
    },
    replaceAll(all) {
      networks = new Set(all);
      isIn = createNetworkList(networks);
    },
  };
}
