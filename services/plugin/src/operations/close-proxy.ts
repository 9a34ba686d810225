/**
 * CloseProxy: a hint. It comes from a goroutine of its own, unordered and sometimes late, so it names the session by the
 * id that only that login had; whatever it misses the dashboard tells.
 */
import type { CloseProxyContent, HookAnswer } from "@keyhole/frp";
import { adoptedId } from "../adopted-id.ts";
import type { SessionAuthority } from "../session-authority.ts";
import type { SessionRegistry } from "../session-registry.ts";

/** Answers one CloseProxy. frps ignores the answer. */
export function answerCloseProxy(
  close: CloseProxyContent,
  deps: { readonly registry: SessionRegistry; readonly authority: SessionAuthority },
): HookAnswer {
  const session = deps.registry.find(close.user.metas["session"] ?? "") ?? deps.registry.find(adoptedId(close.user.runId));
  if (session !== undefined) deps.authority.closeTunnel(session, close.proxyName);
  return { kind: "keep" };
}
