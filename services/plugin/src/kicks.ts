/**
 * The kick: a login of our own with the run_id of the session that must go, which makes stock frps close it and release
 * its proxies. It comes back to us through the hook like any login, so it carries a one-time nonce that only lives here;
 * it is recognised before any queue, limit or look-up, and never waits.
 */

import type { DrawRandom } from "./random-pool.ts";

/** Sends one Login with this run_id to frps; resolves when frps has answered without error. */
export type SendKick = (kick: {
  readonly runId: string;
  readonly metas: Record<string, string>;
  readonly timeoutMs: number;
}) => Promise<void>;

/** Kicks sessions, and recognises its own logins. */
export type Kicks = {
  /** Resolves when the session's proxies are released. Rejects when frps did not do it in time. */
  kick(runId: string, timeoutMs: number): Promise<void>;
  /** True once for each kick under way. */
  take(metas: Readonly<Record<string, string>>): boolean;
};

const metaName = "keyhole_kick";

/** Makes the kicks of one plugin. */
export function createKicks(deps: { readonly send: SendKick; readonly drawRandom: DrawRandom }): Kicks {
  const nonces = new Set<string>();
  return {
    async kick(runId, timeoutMs) {
      const nonce = deps.drawRandom(24).toString("base64url");
      nonces.add(nonce);
      try {
        await deps.send({ runId, metas: { [metaName]: nonce }, timeoutMs });
      } finally {
        nonces.delete(nonce);
      }
    },
    take: (metas) => nonces.size > 0 && nonces.delete(metas[metaName] ?? ""),
  };
}
