/**
 * Taking over what a process before this one admitted. A plugin that has just started knows nobody, and frps goes on
 * asking: a newcomer that was judged before the label's holder is known would be admitted beside it (invariant 2). So
 * whoever asks for a label waits, briefly, until that label is adopted; labels that are asked for come first.
 */
import { type Label, parseLabel } from "@keyhole/core";
import { withinTime } from "./answer-time.ts";
import type { FrpsView } from "./frps-view.ts";
import type { SessionAuthority } from "./session-authority.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** The taking over, once a process. */
export type Adoption = {
  /** Everything that frps served when it was first looked at is known. */
  readonly isDone: boolean;
  /** Adopts who has a proxy, and kicks who has none: its NewProxy was lost. Throws when a store cannot be read; then it is asked again. */
  adopt(view: FrpsView): Promise<void>;
  /** True once the label's sessions are known; false when that takes too long, or longer than so many ms. Throws when a store cannot be read. */
  awaitLabel(label: Label, atMostMs?: number): Promise<boolean>;
};

type FormerClient = { readonly ticket: string; readonly proxyNames: readonly string[] };

/** How long whoever asks for a label waits, in ms: what is left of the answer's second is the hand-over's. */
const patienceMs = 400;
/** So many labels in a row, and the event loop has its turn: kicks and logins come in between. */
const labelsPerTurn = 50;

/** Makes the adoption. */
export function createAdoption(deps: {
  readonly registry: SessionRegistry;
  readonly authority: Pick<SessionAuthority, "adopt">;
  /** Takes the label from the edge, which has served it until now. */
  readonly leave: (label: Label) => Promise<unknown>;
  readonly kick: (runId: string, why: string) => void;
}): Adoption {
  const { registry, authority, leave, kick } = deps;
  let isDone = false;
  const viewed = Promise.withResolvers<void>();
  /** Who is still to be adopted. */
  const waiting = new Map<Label, FormerClient[]>();
  const underWay = new Map<Label, Promise<void>>();

  function sort(view: FrpsView): void {
    waiting.clear();
    const names = new Map<string, string[]>();
    for (const proxy of view.proxies) {
      if (proxy.isOnline) names.set(proxy.clientId, [...(names.get(proxy.clientId) ?? []), proxy.name]);
    }
    for (const client of view.clients) {
      if (!client.isOnline) continue;
      const label = parseLabel(client.user);
      const proxyNames = names.get(client.runId);
      if (label !== undefined && registry.living(label).some((session) => session.ticket === client.runId)) continue;
      if (label === undefined || proxyNames === undefined) kick(client.runId, "no proxy at start");
      else waiting.set(label, [...(waiting.get(label) ?? []), { ticket: client.runId, proxyNames }]);
    }
  }

  /** The sessions of one label, at most once at a time. */
  function adoptLabel(label: Label): Promise<void> {
    const former = underWay.get(label);
    const clients = waiting.get(label);
    if (former !== undefined || clients === undefined) return former ?? Promise.resolve();
    const work = adoptClients(label, clients).finally(() => underWay.delete(label));
    underWay.set(label, work);
    return work;
  }

  async function adoptClients(label: Label, clients: readonly FormerClient[]): Promise<void> {
    for (const { ticket, proxyNames } of clients) {
      const adopted = await authority.adopt({ label, ticket, proxyNames });
      if (!adopted.granted) kick(ticket, adopted.refusal.code);
    }
    // What was revoked, or has ended, while nobody could act.
    if (registry.living(label).length === 0) await leave(label);
    // Only now: who failed for a store that cannot be read is asked again.
    waiting.delete(label);
  }

  return {
    get isDone() {
      return isDone;
    },

    async adopt(view) {
      sort(view);
      viewed.resolve();
      let count = 0;
      for (const label of [...waiting.keys()]) {
        await adoptLabel(label);
        count += 1;
        if (count % labelsPerTurn === 0) await new Promise(setImmediate);
      }
      isDone = true;
    },

    async awaitLabel(label, atMostMs = patienceMs) {
      if (isDone) return true;
      const known = viewed.promise.then(() => adoptLabel(label)).then(() => true);
      return await withinTime(known, Math.min(patienceMs, atMostMs), false);
    },
  };
}
