/**
 * The edge's own memory: `live.map`, `last-seen.map`, `blocked.map` and `blocked-networks.map`, one `key value` a line; keys
 * are labels, in the last one networks (DESIGN.md §6). With them a starting edge answers honestly while nothing else of ours is up. Reading is total: a bad line is
 * counted and skipped, it never hides the good ones.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, type Label, type Network, parseLabel, parseNetwork } from "@keyhole/core";
import type { Log } from "./log.ts";

/** The maps as they lie on disk. The value of a block says since when. */
export type MapContent = {
  readonly live: ReadonlyMap<Label, Date>;
  readonly lastSeen: ReadonlyMap<Label, Date>;
  readonly blocked: ReadonlyMap<Label, string>;
  readonly blockedNetworks: ReadonlyMap<Network, string>;
};

export const mapNames = {
  live: "live.map",
  lastSeen: "last-seen.map",
  blocked: "blocked.map",
  blockedNetworks: "blocked-networks.map",
} as const;

/** Beyond this the oldest last-seen entries are forgotten: visitors then read no time, and nothing else changes. */
export const lastSeenLimit = 100_000;

/** Prints one map. Keys are labels or networks and values have no line ends, so nothing needs escaping. */
export function renderMap(entries: Iterable<readonly [Label | Network, string]>): string {
  let text = "";
  for (const [key, value] of entries) text += `${key} ${value}\n`;
  return text;
}

/** Reads one map. Total: what is not `key value` is counted in `badLines`. A later line wins. */
export function parseMap<Key>(
  text: string,
  parseKey: (text: string) => Key | undefined,
): { readonly entries: Map<Key, string>; readonly badLines: number } {
  const entries = new Map<Key, string>();
  let badLines = 0;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const space = line.indexOf(" ");
    const key = space < 1 ? undefined : parseKey(line.slice(0, space));
    const value = line.slice(space + 1).trim();
    if (key === undefined || value === "") badLines += 1;
    else entries.set(key, value);
  }
  return { entries, badLines };
}

/** Reads the maps of a folder; a file that does not exist is an empty map. Throws `STATE_UNWRITABLE` when one cannot be read. */
export async function readMapFiles(mapsDir: string, log: Log | undefined): Promise<MapContent> {
  const [live, lastSeen, blocked, blockedNetworks] = await Promise.all([
    readMapFile(mapsDir, mapNames.live, { parseKey: parseLabel, log }),
    readMapFile(mapsDir, mapNames.lastSeen, { parseKey: parseLabel, log }),
    readMapFile(mapsDir, mapNames.blocked, { parseKey: parseLabel, log }),
    readMapFile(mapsDir, mapNames.blockedNetworks, { parseKey: parseNetwork, log }),
  ]);
  return { live: datesOf(live, mapNames.live, log), lastSeen: datesOf(lastSeen, mapNames.lastSeen, log), blocked, blockedNetworks };
}

async function readMapFile<Key>(
  mapsDir: string,
  name: string,
  { parseKey, log }: { readonly parseKey: (text: string) => Key | undefined; readonly log: Log | undefined },
): Promise<Map<Key, string>> {
  const path = join(mapsDir, name);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return new Map();
    // An edge that guesses would serve what is blocked.
    throw new Fault("STATE_UNWRITABLE", `The edge's map file ${path} exists but cannot be read. Give the edge's user access to it.`, {
      cause,
    });
  }
  const { entries, badLines } = parseMap(text, parseKey);
  if (badLines > 0) log?.warn({ file: name, badLines }, "a map file has lines that are no `key value`; they are ignored");
  return entries;
}

function datesOf(entries: ReadonlyMap<Label, string>, name: string, log: Log | undefined): Map<Label, Date> {
  const dates = new Map<Label, Date>();
  let bad = 0;
  for (const [label, value] of entries) {
    const date = new Date(value);
    if (Number.isNaN(date.getTime())) bad += 1;
    else dates.set(label, date);
  }
  if (bad > 0) log?.warn({ file: name, badLines: bad }, "a map file has times that are none; those lines are ignored");
  return dates;
}
