/**
 * What a backup is: a tar (POSIX.1-2001) that any tar can list and unpack, with `manifest.json` first and the files that it names
 * behind it. Whatever else is in one makes it no backup.
 */
import { Fault } from "@keyhole/core";
import { z } from "zod";

/** The files of the two stores, in the order in which they are copied. */
export const storeNames = ["tokens", "sessions"] as const;

/** One of them: who writes it. */
export type StoreName = (typeof storeNames)[number];

/** Its name in a backup and in the state directory. */
export const fileOf = (store: StoreName): string => `${store}.db`;

const keyName = /^keys\/[a-z][a-z0-9-]{0,40}\/[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/;

/** True for the name of a key's file below the state directory. Two dots in a row are in none. */
export const isKeyName = (name: string): boolean => keyName.test(name) && !name.includes("..");

/** Of those the ones that make something. The public halves, which every backup holds, only say who made it. */
const isSecretKeyName = (name: string): boolean => isKeyName(name) && !/^keys\/[^/]+-public\//.test(name);

/** How many files a backup has of them, in words; undefined when none. */
export function countSecretKeys({ files }: Manifest): string | undefined {
  const count = files.filter(({ name }) => isSecretKeyName(name)).length;
  return count === 0 ? undefined : `${count} ${count === 1 ? "file" : "files"}`;
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const storeFacts = z.strictObject({
  schema: z.int().min(1),
  /** The newest event of its chain: whoever noted this elsewhere can tell an older backup from this one. */
  head: z.strictObject({ sequence: z.int().min(1), hash: sha256 }).nullable(),
});

const manifestForm = z.strictObject({
  kind: z.literal("keyhole-backup"),
  /** Of this form. A later one is refused. */
  format: z.literal(1),
  /** Of Keyhole. */
  version: z.string().max(100),
  takenAt: z.iso.datetime(),
  /** Whether the state directory belonged to a group. */
  isShared: z.boolean(),
  /** A store that had never been written is not there. */
  stores: z.strictObject({ tokens: storeFacts.optional(), sessions: storeFacts.optional() }),
  files: z
    .array(
      z.strictObject({
        name: z.string().refine((name) => storeNames.some((store) => fileOf(store) === name) || isKeyName(name)),
        size: z.int().min(0),
        sha256,
        mode: z.int().min(0).max(0o777),
      }),
    )
    .max(100_000),
});

/** What a backup says of itself. */
export type Manifest = z.infer<typeof manifestForm>;

/** One file of it. */
export type ManifestFile = Manifest["files"][number];

/** How far the chain of a store goes, in words. */
export function describeChain({ head }: NonNullable<Manifest["stores"][StoreName]>): string {
  if (head === null) return "no events";
  return `${head.sequence} ${head.sequence === 1 ? "event" : "events"}, the newest ${head.hash}`;
}

/** No manifest is longer. */
export const manifestBytes = 32 * 1024 * 1024;

/** Reads a manifest. Throws `Fault("BACKUP_INVALID")`. */
export function parseManifest(file: string, text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(file, "its manifest is no JSON");
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === "number" && format > 1)
    throw invalid(file, `it has form ${format}, and this version knows form 1; use the version of Keyhole that made it, or a later one`);
  const parsed = manifestForm.safeParse(value);
  if (!parsed.success) throw invalid(file, `its manifest is wrong (${parsed.error.issues[0]?.path.join(".") ?? "at its top"})`);
  const names = parsed.data.files.map(({ name }) => name);
  if (new Set(names).size !== names.length) throw invalid(file, "its manifest names a file twice");
  for (const store of storeNames)
    if ((parsed.data.stores[store] !== undefined) !== names.includes(fileOf(store)))
      throw invalid(file, `its manifest does not agree with itself about ${fileOf(store)}`);
  return parsed.data;
}

/** The fault of a file that is no good backup. */
export function invalid(file: string, found: string, cause?: unknown): Fault {
  return new Fault("BACKUP_INVALID", `${file} is no good backup: ${found}. Nothing was changed. Take another one.`, { cause });
}
