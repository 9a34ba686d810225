/**
 * The line of the log that HVYM's operators know: a Stellar account's tunnel is there. Its names and its time are those of
 * their server, so that what reads their log reads ours. All of it is public: the account, its address, what it serves.
 */
import { identityOfLabel, printIdentity } from "@keyhole/core";
import type { Session } from "./session-registry.ts";

/** The fields of the line; level, component and message are the log's. */
export type StellarLine = {
  /** Whole seconds, in UTC. */
  readonly timestamp: string;
  readonly event: "tunnel_connected";
  readonly stellar_address: string;
  readonly endpoint: string;
  readonly services: readonly string[];
};

/** A name as services have them; too short for a token or a ticket that somebody put in its place. */
const serviceName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/;

/** The line of a session of a Stellar account, whichever credential it came with; undefined for any other wallet. */
export function deriveStellarLine(
  { label, services }: Pick<Session, "label" | "services">,
  facts: { readonly at: Date; readonly endpoint: string },
): StellarLine | undefined {
  const identity = identityOfLabel(label);
  if (identity.namespace !== "stellar") return undefined;
  return {
    timestamp: facts.at.toISOString().replace(/\.\d+Z$/, "Z"),
    event: "tunnel_connected",
    stellar_address: printIdentity(identity),
    endpoint: facts.endpoint,
    services: services.filter((name) => serviceName.test(name)),
  };
}
