/**
 * The record of a run of the tests, judged: no line that was logged holds a secret that was used. A record without lines,
 * or without secrets of a kind that every run uses, is no proof of anything, and so it is a failure.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { RecordedSecret } from "../support/test-record.ts";
import { createLogScan, type Pattern } from "./scan-log.ts";
import { deriveSecretForms } from "./secret-forms.ts";

/** What was searched, and what is wrong; nothing when `problems` is empty. */
export type ScanReport = { readonly files: number; readonly bytes: number; readonly secrets: number; readonly problems: readonly string[] };

const mostProblems = 50;

/** Judges the record in a folder. `expected`: what must be in it, logs by the beginning of their name and secrets by their kind. */
export function scanRecord(
  folder: string,
  expected: { readonly logs: readonly string[]; readonly kinds: readonly string[] } = { logs: [], kinds: [] },
): ScanReport {
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  const logs = names.filter((name) => name.endsWith(".log"));
  const secrets = new Map<string, string>();
  for (const name of names.filter((each) => each.endsWith(".secrets"))) {
    for (const line of readFileSync(join(folder, name), "utf8").split("\n")) {
      if (line === "") continue;
      const { kind, secret } = JSON.parse(line) as RecordedSecret;
      if (!secrets.has(secret)) secrets.set(secret, kind);
    }
  }
  const patterns: Pattern[] = [];
  for (const [secret, kind] of secrets) for (const form of deriveSecretForms(secret)) patterns.push({ kind, ...form });
  const scan = createLogScan(patterns);
  const problems: string[] = [];
  let bytes = 0;
  for (const name of logs) {
    const log = readFileSync(join(folder, name));
    bytes += log.length;
    for (const { line, kind, how } of scan(log)) problems.push(`${join(folder, name)}:${line}: ${kind}, ${how}`);
  }
  const found = problems.length;
  problems.splice(mostProblems);
  if (found > mostProblems) problems.push(`and ${found - mostProblems} more`);
  if (bytes === 0) problems.push("no line was recorded: nothing was proved");
  if (secrets.size === 0) problems.push("no secret was recorded: nothing was proved");
  for (const start of expected.logs) {
    if (!logs.some((name) => name.startsWith(start))) problems.push(`no log of "${start}" was recorded: its lines were not searched`);
  }
  const kinds = new Set(secrets.values());
  for (const kind of expected.kinds)
    if (!kinds.has(kind)) problems.push(`no secret of the kind "${kind}" was recorded: it was not looked for`);
  return { files: logs.length, bytes, secrets: secrets.size, problems };
}
