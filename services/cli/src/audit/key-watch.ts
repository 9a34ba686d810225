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

/** Looks at the keys of a part. */
export type KeyWatch = {
  /** The events of what changed since the last look. */
  look(now: Date): readonly EventEntry[];
  /** What was told of each purpose last. */
  told(): Readonly<Record<string, EventDetail>>;
};

/** Makes the watch of a chain. `told` is what the process before this one told of each purpose last; what is not there is told anew. */
export function createKeyWatch(options: {
  readonly stateDir: string;
  readonly writer: EventWriter;
  readonly told: Readonly<Record<string, EventDetail>>;
}): KeyWatch {
  const { stateDir, writer } = options;
  const known = new Map(Object.entries(options.told));
  return {
    look: (now) =>
      purposesOf[writer].flatMap((purpose) => {
        const [current, former] = [readKeys(stateDir, purpose, now), known.get(purpose)];
        // Before the first key there is nothing to tell of.
        if (current === undefined || (former === undefined && current["verify"] === "")) return [];
        if (current["verify"] === former?.["verify"] && current["mints"] === former?.["mints"]) return [];
        known.set(purpose, current);
        return [{ at: now, event: "keys.changed", detail: current } as const];
      }),
    told: () => Object.fromEntries(known),
  };
}
