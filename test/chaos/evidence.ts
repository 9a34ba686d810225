/** What a violation is looked into with, since the run's folder goes with it: what happened last, and what the plugin said of the label. */
import type { KeyholeParts } from "../support/keyhole-parts.ts";
import type { HistoryEvent } from "./history.ts";

const keptEvents = 4000;
const toldEvents = 60;
const toldLines = 60;

export type Evidence = {
  note(event: HistoryEvent): void;
  /** Lines for a person; requests that one client answered in a row are one line. */
  tell(label: string | undefined, keyhole: Pick<KeyholeParts, "logOf">): readonly string[];
};

/** Makes an empty one. */
export function createEvidence(): Evidence {
  let events: HistoryEvent[] = [];
  return {
    note(event) {
      if (event.kind === "status-polled") return;
      events.push(event);
      if (events.length > 2 * keptEvents) events = events.slice(-keptEvents);
    },
    tell(label, { logOf }) {
      const lines: string[] = [];
      let last = "";
      for (const event of events) {
        if (label !== undefined && "label" in event && event.label !== label) continue;
        const line = describe(event);
        if (event.kind !== "request" || line !== last) lines.push(`${new Date(event.at).toISOString()} ${line}`);
        last = event.kind === "request" ? line : "";
      }
      const said = logOf("plugin")
        .split("\n")
        .filter((line) => label === undefined || line.includes(label) || !line.includes('"label"'));
      return [...lines.slice(-toldEvents), ...said.slice(-toldLines)];
    },
  };
}

function describe(event: HistoryEvent): string {
  if (event.kind !== "request") {
    const { kind, at: _at, ...rest } = event;
    return `${kind} ${JSON.stringify(rest)}`;
  }
  const { outcome } = event;
  if (outcome.kind === "failed") return `request failed: ${outcome.error}`;
  return `request ${outcome.status} ${outcome.app?.client ?? outcome.code ?? ""}`;
}
