/** The connection at the edge that a login came on: whose it is, and whether the edge wants it refused. */
import { type Door, type Refusal, refuse } from "@keyhole/core";
import { refuseUntil } from "./login-limits.ts";

/** The client's connection, as the edge knows it. */
export type LoginConnection = {
  readonly id: string | undefined;
  /** `ip:port` of the client itself. */
  readonly source: string | undefined;
  /** The edge has none, so the client has left; or nobody can tell. */
  readonly failure: "CLIENT_GONE" | "EDGE_SILENT" | undefined;
  /** Its address logs in too often. */
  readonly retryAfterSeconds: number | undefined;
};

/** Asks the edge. Never rejects. */
export function findConnection(
  clientAddress: string,
  connectionOf: Door["connectionOf"],
  warn: (cause: unknown) => void,
): Promise<LoginConnection> {
  return connectionOf(clientAddress).then(
    (found) => ({
      id: found?.id,
      source: found?.source,
      failure: found === undefined ? ("CLIENT_GONE" as const) : undefined,
      retryAfterSeconds: found?.retryAfterSeconds,
    }),
    (cause: unknown) => {
      warn(cause);
      // Nothing of the client's passes an edge that does not answer, and a session that the edge cannot name cannot be cut.
      return { id: undefined, source: undefined, failure: "EDGE_SILENT" as const, retryAfterSeconds: undefined };
    },
  );
}

/** Refuses whoever has left, cannot be named, or logs in too often. */
export function judgeConnection({
  failure,
  retryAfterSeconds,
}: Pick<LoginConnection, "failure" | "retryAfterSeconds">): Refusal | undefined {
  if (failure !== undefined) return refuse(failure).refusal;
  return retryAfterSeconds === undefined ? undefined : refuseUntil(retryAfterSeconds);
}
