/**
 * What was acknowledged is never undone (DESIGN.md §2, 6 and 12): after an owner or an operator has revoked a wallet, no client with a
 * token of before serves it again, whatever dies; while it is blocked nobody does; and after a backup was put in place nobody
 * who was let in before. An order that was recorded while the plugin was away is enforced first when it is back: only then
 * plugin and edge have a moment after their start.
 */
import { createEnforcers } from "./enforcers.ts";
import type { HistoryEvent, OrderAnswer } from "./history.ts";

const enforcedWithinMs = 2000;

/** What holds for a label, and since when it must. */
type Held = { readonly since: number; readonly isEnforced: boolean };
type State = { issued: ReadonlyMap<string, number>; revoked: (Held & { readonly before: number }) | undefined; block: Held | undefined };

export type OrderRule = {
  tell(event: HistoryEvent): string | undefined;
  /** Requests of wallets of which something was revoked or blocked. */
  judged(): number;
};

/** Makes the rule. */
export function createOrderRule(): OrderRule {
  let judged = 0;
  const labels = new Map<string, State>();
  const enforcers = createEnforcers();
  const stateOf = (label: string): State => {
    const state = labels.get(label) ?? { issued: new Map(), revoked: undefined, block: undefined };
    labels.set(label, state);
    return state;
  };

  /** Tokens of this second or earlier were issued before it was asked. */
  function revoke(state: State, { askedAt, at, isEnforced }: Pick<OrderAnswer, "askedAt" | "at" | "isEnforced">): void {
    state.revoked = { before: Math.floor(askedAt / 1000), since: at, isEnforced };
  }

  function isInForce({ since, isEnforced }: Held, startedAt: number): boolean {
    if (isEnforced) return startedAt > since;
    const bothSince = enforcers.enforceSince();
    return bothSince !== undefined && startedAt > Math.max(since + enforcedWithinMs, bothSince);
  }

  function judge(event: HistoryEvent & { readonly kind: "request" }): string | undefined {
    const { label, startedAt, outcome } = event;
    const { revoked, block, issued } = stateOf(label);
    if (revoked !== undefined || block !== undefined) judged += 1;
    const app = outcome.kind === "answered" && outcome.status === 200 ? outcome.app : undefined;
    if (app === undefined) return undefined;
    if (block !== undefined && isInForce(block, startedAt))
      return `answered by ${app.client}, ${Math.round(startedAt - block.since)} ms after its address was blocked`;
    const issuedAt = issued.get(app.client);
    if (revoked === undefined || issuedAt === undefined || issuedAt > revoked.before || !isInForce(revoked, startedAt)) return undefined;
    return `answered by ${app.client} with a token of ${issuedAt}, ${Math.round(startedAt - revoked.since)} ms after that was revoked`;
  }

  return {
    judged: () => judged,
    tell(event) {
      enforcers.tell(event);
      switch (event.kind) {
        case "client-started": {
          const state = stateOf(event.label);
          state.issued = new Map([...state.issued, [event.client, event.issuedAt]]);
          return undefined;
        }
        case "order-asked":
          if (event.what === "unblock") stateOf(event.label).block = undefined;
          return undefined;
        case "order-answered": {
          const state = stateOf(event.label);
          if (event.what === "revoke" || event.what === "owner-revoke") revoke(state, event);
          else if (event.what === "block") state.block = { since: event.at, isEnforced: event.isEnforced };
          return undefined;
        }
        case "restored":
          for (const state of labels.values()) revoke(state, { askedAt: event.startedAt, at: event.at, isEnforced: false });
          return undefined;
        case "request":
          return judge(event);
        default:
          return undefined;
      }
    },
  };
}
