/**
 * Login: the only place where somebody proves something. The answer rewrites what frps will believe about the client:
 * its run_id is our ticket, its user the label, its metas a session id and nothing else (DESIGN.md §5).
 */
import { type Door, describeReason, type ReadKeyRing, refuse } from "@keyhole/core";
import type { HookAnswer, LoginContent } from "@keyhole/frp";
import type { Adoption } from "../adoption.ts";
import { readCredential } from "../credential.ts";
import type { Kicks } from "../kicks.ts";
import type { Log } from "../log.ts";
import type { LoginAttempt, SessionAuthority } from "../session-authority.ts";

/** What the operation needs. */
export type LoginDeps = {
  readonly adoption: Adoption;
  readonly authority: SessionAuthority;
  readonly kicks: Kicks;
  readonly tokenKeys: ReadKeyRing;
  /** The connection behind what frps knows as the client's address, where it came through the edge. */
  readonly connectionOf: Door["connectionOf"];
  readonly log: Log;
};

/** frps opens at most this many connections ahead (its own `maxPoolCount`). */
const maxPoolCount = 5;

/** Answers one Login. */
export async function answerLogin(login: LoginContent, requestId: string, deps: LoginDeps): Promise<HookAnswer> {
  if (deps.kicks.take(login.metas)) return { kind: "keep" };
  const connection = deps.connectionOf(login.clientAddress).then(
    (found) => ({ id: found?.id, source: found?.source, failure: found === undefined ? ("CLIENT_GONE" as const) : undefined }),
    (cause: unknown) => {
      deps.log.warn({ cause: String(cause) }, "the edge could not be asked for a client's connection");
      // Nothing of the client's passes an edge that does not answer, and a session that the edge cannot name cannot be cut.
      return { id: undefined, source: undefined, failure: "EDGE_SILENT" as const };
    },
  );
  const session = await admit(login, connection, deps);
  if (!session.granted) {
    const { code } = session.refusal;
    deps.log.info({ event: "login.refused", code, requestId, source: (await connection).source, label: session.label }, "login refused");
    return { kind: "refuse", reason: describeReason(code) };
  }
  const { label, ticket, id, generation } = session.value;
  const { source } = await connection;
  deps.log.info(
    { event: "login.admitted", label, session: id, generation, requestId, source, isResumed: ticket === login.runId },
    "login admitted",
  );
  return {
    kind: "replace",
    content: {
      ...login.raw,
      version: clamp(login.raw["version"]),
      hostname: clamp(login.raw["hostname"]),
      os: clamp(login.raw["os"]),
      arch: clamp(login.raw["arch"]),
      user: label,
      run_id: ticket,
      client_id: "",
      client_spec: {},
      pool_count: Math.min(Math.max(login.poolCount, 0), maxPoolCount),
      metas: { session: id },
      // The key of an empty token: another one was refused.
      privilege_key: login.privilegeKey,
    },
  };
}

/** A refusal says whose it was, where that was proved. */
async function admit(login: LoginContent, connection: LoginAttempt["connection"], deps: LoginDeps) {
  const credential = readCredential(login, deps.tokenKeys);
  if (!credential.granted) return { ...credential, label: undefined };
  const { label } = credential.value;
  if (!deps.adoption.isDone && !(await deps.adoption.awaitLabel(label))) return { ...refuse("STARTING_UP"), label };
  const session = await deps.authority.admit({ credential: credential.value, runId: login.runId, connection });
  return session.granted ? session : { ...session, label };
}

/** What a client says about itself ends up in frps's log and dashboard: printable and short, or nothing. */
const clamp = (value: unknown): string => (typeof value === "string" && /^[\x20-\x7e]{0,64}$/.test(value) ? value : "");
