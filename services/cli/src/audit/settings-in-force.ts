/**
 * Which settings and keys a process runs with, and which of them differ from the time before. The digest is what an event may
 * say; the values lie in a file of this part alone (`settings-in-force.<writer>.json`), so that the names of what changed can be
 * told, and a start need not look through a million events for what it said last.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { EventDetail, EventWriter } from "@keyhole/core";
import { z } from "zod";
import { type Config, type SettingKey, settings } from "../config/settings.ts";
import { readPrivateFile, writePrivateFile } from "../state/private-file.ts";

/** The settings in force, comparable. Nothing secret is a setting. */
export type SettingsInForce = {
  /** SHA-256, in hexadecimal digits. */
  readonly digest: string;
  /** Each value as JSON text; without a value: absent. */
  readonly values: Readonly<Record<string, string>>;
};

/** What the chain was told of last. */
export type LastTold = SettingsInForce & { readonly keys: Readonly<Record<string, EventDetail>> };

const fact = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const form = z.object({
  digest: z.string(),
  values: z.record(z.string(), z.string()),
  keys: z.record(z.string(), z.record(z.string(), fact)),
});

/** What the configuration says, whatever the order in which it was written. */
export function deriveSettingsInForce(config: Config): SettingsInForce {
  const entries = (Object.keys(settings) as SettingKey[])
    .sort()
    .flatMap((key) => (config[key] === undefined ? [] : [[key, JSON.stringify(config[key])] as const]));
  return { digest: createHash("sha256").update(JSON.stringify(entries)).digest("hex"), values: Object.fromEntries(entries) };
}

const fileOf = (stateDir: string, writer: EventWriter): string => join(stateDir, `settings-in-force.${writer}.json`);

/** What was told the time before; undefined when nobody can say. Never throws. */
export function readLastTold(stateDir: string, writer: EventWriter): LastTold | undefined {
  try {
    return form.safeParse(JSON.parse(readPrivateFile(fileOf(stateDir, writer))?.toString("utf8") ?? "null")).data;
  } catch {
    return undefined;
  }
}

/** Keeps it for the next start. Throws `Fault("STATE_UNWRITABLE")`. */
export function keepLastTold(stateDir: string, writer: EventWriter, told: LastTold): void {
  writePrivateFile(fileOf(stateDir, writer), `${JSON.stringify(told)}\n`);
}

/** The names of the settings that differ, in order. */
export function findChangedSettings(former: SettingsInForce, current: SettingsInForce): readonly string[] {
  const names = new Set([...Object.keys(former.values), ...Object.keys(current.values)]);
  return [...names].filter((name) => former.values[name] !== current.values[name]).sort();
}
