/** What operators see of a living session. */
import type { CredentialKind, Label } from "@keyhole/core";
import type { Session } from "./session-registry.ts";

/** A session without anything secret. */
export type SessionView = {
  readonly id: string;
  readonly label: Label;
  readonly kind: CredentialKind;
  readonly generation: number;
  /** Where its client came from (`ip:port`), where that is known. */
  readonly source: string | undefined;
  readonly issuedAt: Date;
  readonly endsAt: Date;
  readonly admittedAt: Date;
  readonly connectedAt: Date | undefined;
  /** When frps's dashboard last showed its tunnel. */
  readonly seenAt: Date | undefined;
  readonly proxies: readonly string[];
};

/** The view of a session. */
export const viewSession = (session: Session): SessionView => {
  const { id, label, kind, generation, source, issuedAt, endsAt, admittedAt, connectedAt, seenAt, proxies } = session;
  return { id, label, kind, generation, source, issuedAt, endsAt, admittedAt, connectedAt, seenAt, proxies: [...proxies.keys()] };
};
