/**
 * NewProxy: the session's one tunnel. The plugin writes the host itself, in a letter case that was never used before, and
 * the marker that only answers of a proxied app carry. frpc asks again only after 30 s, so a refusal that is not final is
 * followed by a kick: the client is back, by Login, in 50 ms.
 */
import { describeReason, type Label, parseLabel, type Refusal, type RefusalCode, refuse } from "@keyhole/core";
import type { HookAnswer, NewProxyContent } from "@keyhole/frp";
import { adoptedId } from "../adopted-id.ts";
import type { Adoption } from "../adoption.ts";
import { maskHost } from "../host-mask.ts";
import type { Kicks } from "../kicks.ts";
import type { Log } from "../log.ts";
import { deriveProxy, judgeProxy } from "../proxy-rules.ts";
import type { SessionAuthority } from "../session-authority.ts";
import type { Session, SessionRegistry } from "../session-registry.ts";

/** What the operation needs. */
export type NewProxyDeps = {
  readonly adoption: Adoption;
  readonly registry: SessionRegistry;
  readonly authority: SessionAuthority;
  readonly kicks: Kicks;
  readonly domain: string;
  readonly scheme: "http" | "https";
  readonly marker: string;
  readonly nextMask: () => number;
  readonly log: Log;
};

/** Refusals that the same client will meet again with the same proxy: kicking it would not help. */
const finalCodes: ReadonlySet<RefusalCode> = new Set([
  "PROXY_MALFORMED",
  "PROXY_TYPE",
  "PROXY_NAME",
  "PROXY_FIELD",
  "PROXY_LIMIT",
  "SUBDOMAIN_MISMATCH",
  "ADDRESS_BLOCKED",
]);

/** Answers one NewProxy. */
export async function answerNewProxy(proxy: NewProxyContent, requestId: string, deps: NewProxyDeps): Promise<HookAnswer> {
  const label = parseLabel(proxy.user.user);
  const found = label === undefined ? { code: "SESSION_UNKNOWN" as const, facts: {} } : await findSession(proxy, label, deps);
  const refusal = "code" in found ? found : (judgeProxy(proxy, found.label) ?? (await deps.authority.openTunnel(found, proxy.proxyName)));
  if (refusal !== undefined || "code" in found) {
    const { code, facts } = refusal ?? { code: "SESSION_UNKNOWN", facts: {} };
    deps.log.info({ event: "proxy.refused", code, facts, requestId, label }, "proxy refused");
    if (!finalCodes.has(code)) kickAfterAnswer(proxy.user.runId, deps);
    return { kind: "refuse", reason: describeReason(code) };
  }
  const host = maskHost(`${found.label}.${deps.domain}`, deps.nextMask());
  deps.log.debug({ event: "proxy.admitted", label, session: found.id, requestId }, "proxy admitted");
  return { kind: "replace", content: deriveProxy(proxy, { host, marker: deps.marker, scheme: deps.scheme }) };
}

async function findSession(proxy: NewProxyContent, label: Label, deps: NewProxyDeps): Promise<Session | Refusal> {
  const { metas, runId } = proxy.user;
  const id = metas["session"] ?? "";
  if (!deps.adoption.isDone && !(await deps.adoption.awaitLabel(label))) return refuse("STARTING_UP").refusal;
  // The second: its own id only the process before this one knew.
  const session = deps.registry.find(id) ?? deps.registry.find(adoptedId(runId));
  if (session !== undefined) return session.label === label ? session : refuse("SESSION_UNKNOWN").refusal;
  const resumed = await deps.authority.resume({ id, label, ticket: runId });
  return resumed.granted ? resumed.value : resumed.refusal;
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
