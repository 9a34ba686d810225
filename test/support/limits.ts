/**
 * Limits that nobody on one machine meets: everybody in a test comes from one address. A test of a limit sets that one back
 * to what an operator has.
 */
const wide = {
  tokenRequestsPerMinute: 1_000_000,
  tokensPerMinute: 1_000_000,
  failedProofsPerMinute: 1_000_000,
  tokenRequestsInFlight: 10_000,
  connectionsPerAddress: 100_000,
  loginsPerAddressPerMinute: 1_000_000,
  loginsPerIdentityPerMinute: 1_000_000,
  proxiesPerIdentityPerMinute: 1_000_000,
  loginsInFlight: 100_000,
};

/** Names and values of the limits to set; the others are wide. */
export type Limits = Partial<typeof wide>;

/** The limits as lines of keyhole.toml. */
export const renderLimits = (limits: Limits = {}): string =>
  Object.entries({ ...wide, ...limits })
    .map(([name, value]) => `limits.${name} = ${value}`)
    .join("\n");
