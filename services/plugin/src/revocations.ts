/**
 * Enforces what the token service has committed: every session whose credential was issued before its label's not-before is
 * evicted. The service says when there is something; every second it is looked for anyhow, so that nothing said while this
 * process was away or busy is lost.
 */
import type { TokenReader } from "@keyhole/core";
import type { Adoption } from "./adoption.ts";
import type { Log } from "./log.ts";
import type { NotBefores } from "./not-befores.ts";
import type { SessionEndings } from "./session-endings.ts";

/** The enforcing. */
export type Revocations = {
  /**
   * Enforces what is committed now. Resolves when the edge refuses new requests of those labels; cuts and kicks go on.
   * Rejects when that cannot be said: then it is tried again within a second.
   */
  enforce(): Promise<void>;
  /** The same, every second: what goes wrong is logged once, not every time. Never rejects. */
  poll(): Promise<void>;
};

const pageSize = 1000;

/** `sequence`: everything up to it was committed before any session of this process was judged. */
export function createRevocations(deps: {
  readonly sequence: number;
  readonly tokens: Pick<TokenReader, "revocationsAfter">;
  readonly endings: Pick<SessionEndings, "evictOlder">;
  readonly adoption: Adoption;
  readonly notBefores: NotBefores;
  readonly log: Log;
}): Revocations {
  const { tokens, endings, adoption, notBefores, log } = deps;
  let { sequence } = deps;
  let isWell = true;
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | undefined;

  async function enforcePage(): Promise<number> {
    const page = await tokens.revocationsAfter(sequence, pageSize);
    // All of them first: a login that is being decided meets them from here on.
    for (const { label, notBefore } of page) notBefores.note(label, notBefore);
    await Promise.all(
      page.map(async ({ label, notBefore }) => {
        // Whom the process before this one admitted is judged by its ticket, and by this not-before.
        if (!adoption.isDone && !(await adoption.awaitLabel(label))) throw new Error("it is not known yet who is served");
        if (!(await endings.evictOlder(label, notBefore))) throw new Error("the edge could not be told that a label was revoked");
      }),
    );
    sequence = page.at(-1)?.sequence ?? sequence;
    return page.length;
  }

  async function pass(): Promise<void> {
    while ((await enforcePage()) === pageSize);
  }

  function enforce(): Promise<void> {
    // A pass that is under way may have read before the caller's commit: the next one has not.
    next ??= running.then(() => {
      next = undefined;
      const work = pass();
      running = work.catch(() => {});
      return work;
    });
    return next;
  }

  return {
    enforce,
    async poll() {
      try {
        await enforce();
        if (!isWell) log.info({}, "revocations are enforced again");
        isWell = true;
      } catch (cause) {
        if (isWell)
          log.error({ event: "revocations.failed", cause: String(cause) }, "revocations could not be enforced; it is tried again");
        isWell = false;
      }
    },
  };
}
