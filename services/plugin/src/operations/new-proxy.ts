/**
 * NewProxy: the session's one tunnel. The plugin writes the host itself, in a letter case that was never used before, and
 * the marker that only answers of a proxied app carry. frpc asks again only after 30 s, so a refusal that is not final is
 * followed by a kick: the client is back, by Login, in 50 ms.
 */
import { grant, type Label, parseLabel, refuse, type Verdict } from "@keyhole/core";
import type { HookAnswer, NewProxyContent } from "@keyhole/frp";
import { adoptedId } from "../adopted-id.ts";
import type { Adoption } from "../adoption.ts";
import type { CallIds } from "../hook-server.ts";
import { maskHost } from "../host-mask.ts";
import type { Kicks } from "../kicks.ts";
import type { Log } from "../log.ts";
import type { LoginLimits } from "../login-limits.ts";
import { deriveProxy, finalCodes, judgeProxy } from "../proxy-rules.ts";
import type { RefusalAnswers } from "../refusal-answers.ts";
import type { SessionAuthority } from "../session-authority.ts";
import type { Session, SessionRegistry } from "../session-registry.ts";

/** What the operation needs. */
export type NewProxyDeps = {
  readonly adoption: Adoption;
  readonly registry: SessionRegistry;
  readonly authority: SessionAuthority;
  readonly kicks: Kicks;
  readonly limits: Pick<LoginLimits, "takeProxy">;
  readonly refusals: RefusalAnswers;
  readonly domain: string;
  readonly scheme: "http" | "https";
  readonly marker: string;
  readonly nextMask: () => number;
  readonly log: Log;
};

/** Answers one NewProxy. */
export async function answerNewProxy(proxy: NewProxyContent, ids: CallIds, deps: NewProxyDeps): Promise<HookAnswer> {
  const label = parseLabel(proxy.user.user);
  const session = label === undefined ? refuse("SESSION_UNKNOWN") : await admit(proxy, label, deps);
  if (!session.granted) {
    const { code, facts } = session.refusal;
    deps.log.info({ event: "proxy.refused", code, facts, ...ids, label }, "proxy refused");
    if (!finalCodes.has(code)) kickAfterAnswer(proxy.user.runId, deps);
    return deps.refusals.answer(session.refusal);
  }
  const host = maskHost(`${session.value.label}.${deps.domain}`, deps.nextMask());
  deps.log.debug({ event: "proxy.admitted", label, session: session.value.id, ...ids }, "proxy admitted");
  return { kind: "replace", content: deriveProxy(proxy, { host, marker: deps.marker, scheme: deps.scheme }) };
}

async function admit(proxy: NewProxyContent, label: Label, deps: NewProxyDeps): Promise<Verdict<Session>> {
  const session = await findSession(proxy, label, deps);
  if (!session.granted) return session;
  const refusal =
    judgeProxy(proxy, label) ?? deps.limits.takeProxy(session.value) ?? (await deps.authority.openTunnel(session.value, proxy.proxyName));
  return refusal === undefined ? session : { granted: false, refusal };
}

async function findSession(proxy: NewProxyContent, label: Label, deps: NewProxyDeps): Promise<Verdict<Session>> {
  const { metas, runId } = proxy.user;
  const id = metas["session"] ?? "";
  // Every login that was admitted has one: without it, sessions of several clients would be one.
  if (id === "") return refuse("SESSION_UNKNOWN");
  if (!deps.adoption.isDone && !(await deps.adoption.awaitLabel(label))) return refuse("STARTING_UP");
  // The second: its own id only the process before this one knew.
  const session = deps.registry.find(id) ?? deps.registry.find(adoptedId(runId));
  if (session !== undefined) return session.label === label ? grant(session) : refuse("SESSION_UNKNOWN");
  return await deps.authority.resume({ id, label, ticket: runId });
}

/** The kick waits in frps for this very answer, so it must not be awaited here. */
export function kickAfterAnswer(runId: string, deps: { readonly kicks: Kicks; readonly log: Log }): void {
  if (runId === "") return;
  setImmediate(() => {
    void deps.kicks
      .kick(runId, 5000)
      .catch((cause: unknown) => deps.log.warn({ cause: String(cause) }, "a kick after a refused proxy failed"));
  });
}
