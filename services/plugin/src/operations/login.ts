/**
 * Login: the only place where somebody proves something. The answer rewrites what frps will believe about the client:
 * its run_id is our ticket, its user the label, its metas a session id and nothing else (DESIGN.md §5).
 */
import { type Door, type Label, type Refusal, refuse, type Verdict } from "@keyhole/core";
import { deriveLoginKey, type HookAnswer, type LoginContent } from "@keyhole/frp";
import type { Adoption } from "../adoption.ts";
import { type TimeLeft, waitable } from "../answer-time.ts";
import { type CredentialSettings, type Presented, readCredential } from "../credential.ts";
import { type ProofDeps, proveCredential } from "../credential-proof.ts";
import type { CallIds } from "../hook-server.ts";
import type { Kicks } from "../kicks.ts";
import type { Log } from "../log.ts";
import { findConnection, type LoginConnection } from "../login-connection.ts";
import type { PluginRecorder } from "../plugin-figures.ts";
import type { RefusalAnswers } from "../refusal-answers.ts";
import type { SessionAuthority } from "../session-authority.ts";
import type { Session } from "../session-registry.ts";

/** What the operation needs. */
export type LoginDeps = {
  readonly adoption: Adoption;
  readonly authority: SessionAuthority;
  readonly kicks: Kicks;
  readonly credentials: CredentialSettings;
  readonly proof: ProofDeps;
  /** Logins that are being decided at the same time. */
  readonly maxInFlight: number;
  /** The connection behind what frps knows as the client's address, where it came through the edge. */
  readonly connectionOf: Door["connectionOf"];
  readonly refusals: RefusalAnswers;
  readonly recorder: Pick<PluginRecorder, "start">;
  readonly log: Log;
};

/** frps opens at most this many connections ahead (its own `maxPoolCount`). */
const maxPoolCount = 5;
/** The oldest frpc that speaks as our frps does. */
const oldestClient = { major: 0, minor: 58 };

/** Makes the operation: it answers one Login, in the time that is left for it. */
export function createLogin(deps: LoginDeps): (login: LoginContent, ids: CallIds, left: TimeLeft) => Promise<HookAnswer> {
  const { kicks, log, recorder, refusals } = deps;
  let inFlight = 0;
  const warn = (cause: unknown): void => log.warn({ cause: String(cause) }, "the edge could not be asked for a client's connection");

  async function decide(login: LoginContent, ids: CallIds, left: TimeLeft): Promise<HookAnswer> {
    const connection = findConnection(login.clientAddress, deps.connectionOf, warn);
    const presented = present(login, deps);
    const session = presented.granted ? await admit(presented.value, login, connection, { ...deps, left }) : presented;
    const kind = presented.granted ? presented.value.kind : undefined;
    recorder.start(kind, session.granted && session.value.ticket === login.runId ? "resumed" : "new", session.granted);
    const { source } = await connection;
    if (!session.granted) {
      const { code } = session.refusal;
      log.info({ event: "login.refused", code, ...ids, source, label: session.label }, "login refused");
      return refusals.answer(session.refusal, session.label);
    }
    const { label, ticket, id, generation } = session.value;
    log.info(
      { event: "login.admitted", label, session: id, generation, ...ids, source, isResumed: ticket === login.runId },
      "login admitted",
    );
    return { kind: "replace", content: deriveLogin(login, session.value) };
  }

  return async (login, ids, left) => {
    // Before anything that could make it wait, or be used up: somebody's login waits for this one.
    if (kicks.take(login.metas)) return { kind: "keep" };
    if (inFlight >= deps.maxInFlight) {
      recorder.start(undefined, "new", false);
      return refusals.answer(refuse("BUSY").refusal);
    }
    inFlight += 1;
    try {
      return await decide(login, ids, left);
    } finally {
      inFlight -= 1;
    }
  };
}

/** The credential, of a client that may have one at all. */
function present(login: LoginContent, { credentials }: LoginDeps): Verdict<Presented> & { readonly label?: undefined } {
  const unfit = judgeClient(login);
  return unfit === undefined ? readCredential(login, credentials) : { granted: false, refusal: unfit };
}

/** A refusal says whose it was, where that was proved. */
async function admit(
  presented: Presented,
  login: LoginContent,
  connection: Promise<LoginConnection>,
  deps: LoginDeps & { readonly left: TimeLeft },
): Promise<Verdict<Session> & { readonly label?: Label }> {
  const { left } = deps;
  const round = deps.authority.roundOf(presented.kind);
  const proved = await proveCredential(presented, login, connection, { ...deps.proof, left });
  if (!proved.granted) return proved;
  const { credential, hasWaitedForRegistry } = proved.value;
  const { label } = credential;
  if (!deps.adoption.isDone && !(await deps.adoption.awaitLabel(label, waitable(left, Number.POSITIVE_INFINITY))))
    return { ...refuse("STARTING_UP"), label };
  const time = { left, hasWaitedForRegistry };
  const session = await deps.authority.admit({ credential, round, runId: login.runId, connection, time });
  return session.granted ? session : { ...session, label };
}

/** What has nothing to do with who it is. */
function judgeClient({ version, poolCount }: LoginContent): Refusal | undefined {
  if (isTooOld(version)) return refuse("CLIENT_TOO_OLD").refusal;
  return poolCount < 0 ? refuse("POOL_COUNT").refusal : undefined;
}

/** What does not say its version is too old to do so. */
function isTooOld(version: string): boolean {
  const parts = /^v?(\d{1,6})\.(\d{1,6})\.\d{1,6}(?:[-+][\w.+-]*)?$/.exec(version);
  return parts === null || (Number(parts[1]) === oldestClient.major && Number(parts[2]) < oldestClient.minor);
}

function deriveLogin(login: LoginContent, { id, label, ticket }: Session): Record<string, unknown> {
  return {
    ...login.raw,
    version: clamp(login.raw["version"]),
    hostname: clamp(login.raw["hostname"]),
    os: clamp(login.raw["os"]),
    arch: clamp(login.raw["arch"]),
    user: label,
    run_id: ticket,
    client_id: "",
    client_spec: {},
    pool_count: Math.min(login.poolCount, maxPoolCount),
    metas: { session: id },
    // frps checks it after us: whatever came there, this is the one of an empty token.
    privilege_key: deriveLoginKey("", login.timestamp),
  };
}

/** What a client says about itself ends up in frps's log and dashboard: printable and short, or nothing. */
const clamp = (value: unknown): string => (typeof value === "string" && /^[\x20-\x7e]{0,64}$/.test(value) ? value : "");
