/** Who ends sessions and who refuses visitors, plugin and edge: a rule that both enforce holds a moment after the later of their starts. */
import type { Part } from "../support/keyhole-parts.ts";
import type { HistoryEvent } from "./history.ts";

const afterStartMs = 2500;

export type Enforcers = {
  tell(event: HistoryEvent): void;
  /** Since when both enforce, in ms of the history; undefined while one of them is away. */
  enforceSince(): number | undefined;
};

/** Makes the two, neither of them there. */
export function createEnforcers(): Enforcers {
  const upSince = new Map<Part, number>();
  return {
    tell(event) {
      if (event.kind === "part-up") upSince.set(event.part, event.at);
      if (event.kind === "part-killed" || event.kind === "part-died") upSince.delete(event.part);
    },
    enforceSince() {
      const [plugin, edge] = [upSince.get("plugin"), upSince.get("edge")];
      return plugin === undefined || edge === undefined ? undefined : Math.max(plugin, edge) + afterStartMs;
    },
  };
}
