/** Notices that the keys of a purpose are others: made, retired, ended, deleted, or another one mints. */
import { type EventDetail, type EventEntry, type EventWriter, Fault } from "@keyhole/core";
import { chooseKeys } from "../state/key-choice.ts";
import { listKeys } from "../state/key-folder.ts";
import { type KeyPurpose, listedPlace } from "../state/key-rotation.ts";

/** Whose keys are told of in which chain: those of the part that writes it. */
const purposesOf: Readonly<Record<EventWriter, readonly KeyPurpose[]>> = {
  tokens: ["token-hmac", "token-jwt", "audit-tokens"],
  sessions: ["ticket-hmac", "audit-sessions"],
};

/** An event names so many ids at most. */
const mostIds = 16;

/** What the keys of a purpose are now; undefined when they cannot be looked at. */
function readKeys(stateDir: string, purpose: KeyPurpose, now: Date): EventDetail | undefined {
  try {
    const { good, minting } = chooseKeys(listKeys(listedPlace(stateDir, purpose)), now);
    const ids = good.slice(0, mostIds).map(({ id }) => id);
    return { purpose, verify: ids.join(" "), mints: minting?.id ?? null };
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    return undefined;
  }
}

/** Makes the watch of a chain. `told` are the newest `keys.changed` of the chain, the newest first. */
export function createKeyWatch(options: {
  readonly stateDir: string;
  readonly writer: EventWriter;
  readonly told: readonly EventDetail[];
}): (now: Date) => readonly EventEntry[] {
  const { stateDir, writer, told } = options;
  const known = new Map<KeyPurpose, EventDetail | undefined>(
    purposesOf[writer].map((purpose) => [purpose, told.find((detail) => detail["purpose"] === purpose)]),
  );
  return (now) =>
    purposesOf[writer].flatMap((purpose) => {
      const [current, former] = [readKeys(stateDir, purpose, now), known.get(purpose)];
      // Before the first key there is nothing to tell of.
      if (current === undefined || (former === undefined && current["verify"] === "")) return [];
      if (current["verify"] === former?.["verify"] && current["mints"] === former?.["mints"]) return [];
      known.set(purpose, current);
      return [{ at: now, event: "keys.changed", detail: current } as const];
    });
}
