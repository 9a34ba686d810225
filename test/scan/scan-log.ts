/**
 * Looks for many texts in many megabytes at once: one rolling hash over the first bytes of every text (Rabin and Karp), a
 * table of bits that says no almost everywhere, and a comparison where it does not.
 */
import { shortestSecret } from "./secret-forms.ts";

/** A text that must not be there. `kind` and `how` are what a report may say about it. */
export type Pattern = { readonly kind: string; readonly how: string; readonly text: string };

/** Where one of them was found. `line` counts from 1. */
export type Finding = { readonly line: number; readonly kind: string; readonly how: string };

const base = 0x0100_0193;
/** Of the byte that leaves the window. */
const leaving = Array.from({ length: shortestSecret - 1 }).reduce<number>((power) => Math.imul(power, base), 1);
const tableBits = 24;

/** Makes the search; what it returns finds every pattern in a log, each kind once a line. Throws for a pattern that is too short. */
export function createLogScan(patterns: readonly Pattern[]): (log: Buffer) => readonly Finding[] {
  const table = new Uint8Array(2 ** (tableBits - 3));
  const byHash = new Map<number, (Omit<Pattern, "text"> & { readonly bytes: Buffer })[]>();
  for (const { kind, how, text } of patterns) {
    const bytes = Buffer.from(text);
    if (bytes.length < shortestSecret) throw new Error(`${kind} is too short to be looked for`);
    let hash = 0;
    for (let at = 0; at < shortestSecret; at += 1) hash = (Math.imul(hash, base) + (bytes[at] as number)) | 0;
    const slot = hash >>> (32 - tableBits);
    table[slot >> 3] = (table[slot >> 3] as number) | (1 << (slot & 7));
    const same = byHash.get(hash);
    if (same === undefined) byHash.set(hash, [{ kind, how, bytes }]);
    else same.push({ kind, how, bytes });
  }

  return (log) => {
    const findings: Finding[] = [];
    let told = new Set<string>();
    let line = 1;
    let hash = 0;
    for (let end = 0; end < log.length; end += 1) {
      const out = end - shortestSecret;
      if (out >= 0) {
        hash = (hash - Math.imul(log[out] as number, leaving)) | 0;
        if (log[out] === 10) {
          line += 1;
          told = new Set();
        }
      }
      hash = (Math.imul(hash, base) + (log[end] as number)) | 0;
      const slot = hash >>> (32 - tableBits);
      if (((table[slot >> 3] as number) & (1 << (slot & 7))) === 0) continue;
      for (const { kind, how, bytes } of byHash.get(hash) ?? []) {
        const start = out + 1;
        if (start < 0 || told.has(kind) || bytes.compare(log, start, start + bytes.length) !== 0) continue;
        told.add(kind);
        findings.push({ line, kind, how });
      }
    }
    return findings;
  };
}
