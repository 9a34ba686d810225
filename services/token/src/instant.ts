/**
 * Instants on the wire: RFC 3339, UTC, whole seconds (`2026-02-05T00:00:00Z`), as the public API promised.
 */

const hourMs = 3_600_000;

/** Prints an instant in whole seconds, rounded down. */
export function printInstant(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

/** Prints the hour an instant lies in: what the public may know about when somebody was last here. */
export function printHour(at: Date): string {
  return printInstant(new Date(Math.floor(at.getTime() / hourMs) * hourMs));
}
