/** Whom the edge keeps out by its own lists, `<stateDir>/maps/blocked*.map`: what is left of the blocks when sessions.db is lost. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BlockSubject, Fault, parseLabel, parseNetwork } from "@keyhole/core";

const maps = ["blocked.map", "blocked-networks.map"];

/** Reads them. A list that is not there is empty; lines that say nothing are passed over. Throws when one cannot be read: it would be undone. */
export function readEdgeBlocks(mapsDir: string): readonly BlockSubject[] {
  const subjects = maps.flatMap((name) =>
    readMap(join(mapsDir, name))
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "")
      .flatMap((key) => parseLabel(key) ?? parseNetwork(key) ?? []),
  );
  return [...new Set(subjects)];
}

function readMap(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return "";
    throw new Fault(
      "STATE_UNWRITABLE",
      `${path} cannot be read (${code}), so it cannot be told who is blocked. Run this as the user of the services, or as root.`,
      { cause },
    );
  }
}
