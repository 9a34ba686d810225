/** Tables for people. */
import pc from "picocolors";

/** Columns as wide as they must be; the last one may be as long as it likes. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => [...(row[column] ?? "")].length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - [...cell].length)))
      .join("  ")
      .trimEnd();
  return [pc.dim(line(head)), ...rows.map(line)].map((text) => `  ${text}\n`).join("");
}

/** An instant of the API as a person reads it, in UTC. */
export const printTime = (instant: string | null): string => (instant === null ? "–" : `${instant.slice(0, 19).replace("T", " ")}Z`);

/** How long ago, in the largest unit that fits twice. */
export function printAge(since: Date, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - since.getTime()) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}
