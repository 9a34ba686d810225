/**
 * Whom the control port lets in: nobody from a blocked network, and of everybody else so many connections at once, so many
 * new ones and so many logins a minute. Everybody is counted alike, this machine too, by IPv4 address or by the /64 of an
 * IPv6 one, which is the least that a subscriber is given. What is refused is counted, and told at most once a minute, with
 * the network it came from.
 */
import { createRateLimiter, deriveAddressPrefix } from "@keyhole/core";
import { countedNetwork } from "./addresses.ts";
import type { Log } from "./log.ts";

/** Limits of the control port for each address. */
export type ControlLimits = {
  /** Open at once. */
  readonly connectionsPerAddress: number;
  /** New connections, and logins on connections, each a minute. */
  readonly loginsPerAddressPerMinute: number;
};

const quietMs = 60_000;

export type ControlDoorkeeper = {
  /** Takes a place for a new connection of this address; undefined when it gets none. Calling what comes back gives it up. */
  admit(address: string): (() => void) | undefined;
  /** Counts a login of this address. Tells in how many seconds the next is allowed when this one is not. */
  countLogin(address: string): number | undefined;
  refusals(): { readonly connections: number; readonly logins: number };
};

export function createControlDoorkeeper(
  limits: ControlLimits,
  options: { readonly isBlocked: (address: string) => boolean; readonly now: () => Date; readonly log: Log },
): ControlDoorkeeper {
  const { now, log } = options;
  const perMinute = { count: limits.loginsPerAddressPerMinute, perSeconds: 60 };
  const [arrivals, logins] = [createRateLimiter(perMinute), createRateLimiter(perMinute)];
  const open = new Map<string, number>();
  const refused = { connections: 0, logins: 0 };

  /** Refusals of each kind since it was told last, and when that was. */
  const untold = new Map<string, { count: number; toldAt: number }>();
  const tell = (message: string, address: string): void => {
    const known = untold.get(message) ?? { count: 0, toldAt: Number.NEGATIVE_INFINITY };
    known.count += 1;
    untold.set(message, known);
    const at = now().getTime();
    // A clock that was set back must not silence it for longer.
    if (Math.abs(at - known.toldAt) < quietMs) return;
    log.warn({ network: deriveAddressPrefix(address), refusals: known.count }, message);
    untold.set(message, { count: 0, toldAt: at });
  };
  const refuse = (message: string, address: string): undefined => {
    refused.connections += 1;
    tell(message, address);
  };

  return {
    admit(address) {
      if (options.isBlocked(address)) return refuse("a control connection was refused: its network is blocked", address);
      const network = countedNetwork(address);
      const count = open.get(network) ?? 0;
      if (count >= limits.connectionsPerAddress) return refuse("a control connection was refused: its address has too many", address);
      if (!arrivals.take(network, now()).isAllowed)
        return refuse("a control connection was refused: its address connects too often", address);
      open.set(network, count + 1);
      return () => {
        const left = (open.get(network) ?? 1) - 1;
        if (left === 0) open.delete(network);
        else open.set(network, left);
      };
    },
    countLogin(address) {
      const { isAllowed, retryAfterSeconds } = logins.take(countedNetwork(address), now());
      if (isAllowed) return undefined;
      refused.logins += 1;
      tell("a login is to be refused: its address logs in too often", address);
      return retryAfterSeconds;
    },
    refusals: () => ({ ...refused }),
  };
}
