/**
 * Takes a backup while everything runs: both stores as they are at one moment each, with `withKeys` the keys too. Ports,
 * passwords and maps are not in it: they are made anew.
 */
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Fault } from "@keyhole/core";
import { copyStore, inspectStore } from "@keyhole/store";
import type { StateDirectory } from "../state/state-directory.ts";
import { digestFile, readTar, writeTar } from "./backup-file.ts";
import { fileOf, isKeyName, type Manifest, type ManifestFile, type StoreName, storeNames } from "./backup-form.ts";
import type { Progress } from "./progress.ts";
import { requireNoRestore, syncFolder } from "./restore-swap.ts";

/** A backup that was taken and read again. */
export type TakenBackup = { readonly file: string; readonly id: string; readonly manifest: Manifest; readonly bytes: number };

/** Takes it. Throws `BACKUP_EXISTS`, and what the stores throw; then there is no new file. */
export async function takeBackup(options: {
  readonly state: StateDirectory;
  readonly file: string;
  readonly withKeys: boolean;
  /** A file that is there is replaced, once the new one is whole. */
  readonly isForced: boolean;
  readonly version: string;
  readonly now: () => Date;
  readonly progress: Progress;
}): Promise<TakenBackup> {
  const { state, withKeys, isForced, version, now, progress } = options;
  const file = resolve(options.file);
  if (!isForced && existsSync(file)) throw existing(file);
  requireNoRestore(state.path);
  const scratch = `${file}.unfinished`;
  try {
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch, { mode: 0o700 });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new Fault(
      "STATE_UNWRITABLE",
      `Nothing can be written into ${dirname(file)} (${code}). Name a file in a folder that you may write to.`,
      { cause },
    );
  }
  try {
    const takenAt = now();
    const stores: { [Name in StoreName]?: NonNullable<Manifest["stores"][Name]> } = {};
    const files: ManifestFile[] = [];
    for (const store of storeNames) {
      const path = join(state.path, fileOf(store));
      if (!existsSync(path)) continue;
      const copy = join(scratch, fileOf(store));
      await copyStore({ path, writer: store, to: copy, onProgress: (done, total) => progress(`copying ${fileOf(store)}`, done / total) });
      progress(`checking the copy of ${fileOf(store)}`);
      const { schema, head } = inspectStore({ path: copy, writer: store });
      stores[store] = { schema, head: head ?? null };
      files.push({ name: fileOf(store), mode: 0o660, ...(await digestFile(copy)) });
    }
    if (files.length === 0)
      throw new Fault("STORE_UNAVAILABLE", `There is nothing to back up in ${state.path}: it has no store yet. Start Keyhole once.`);
    files.push(...(await describeKeys(state.path, withKeys)));
    const manifest: Manifest = {
      kind: "keyhole-backup",
      format: 1,
      version,
      takenAt: takenAt.toISOString(),
      isShared: state.isShared,
      stores,
      files,
    };
    const tar = join(scratch, "backup.tar");
    const pathOf = (name: string): string => join(isKeyName(name) ? state.path : scratch, name);
    await writeTar(tar, manifest, pathOf, (done, total) => progress("writing", done / total));
    const { id } = await readTar(
      tar,
      () => undefined,
      (done, total) => progress("reading it again", done / total),
    );
    const { size } = lstatSync(tar);
    place(tar, file, isForced);
    return { file, id, manifest, bytes: size };
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw new Fault("STATE_UNWRITABLE", `The backup could not be written to ${file} (${code}). Check the folder and its free space.`, {
      cause,
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const existing = (file: string): Fault =>
  new Fault("BACKUP_EXISTS", `${file} is there already. Name another file, or replace it with --force.`);

function place(tar: string, file: string, isForced: boolean): void {
  if (isForced) renameSync(tar, file);
  else {
    try {
      linkSync(tar, file); // unlike a rename it replaces nothing
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "EEXIST" || existsSync(file)) throw existing(file);
      renameSync(tar, file); // a file system without links
    }
  }
  syncFolder(dirname(file));
}

/**
 * What verifies the chains of events is no secret, and always there: without it nobody could say on another machine whose they are.
 */
async function describeKeys(stateDir: string, withKeys: boolean): Promise<readonly ManifestFile[]> {
  try {
    return await Promise.all(
      listKeyFiles(stateDir, withKeys).map(async (name) => {
        const path = join(stateDir, name);
        return { name, mode: lstatSync(path).mode & 0o770, ...(await digestFile(path)) };
      }),
    );
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Fault(
      "KEYS_UNREADABLE",
      `The keys in ${stateDir} cannot be read (${code}). Each part's are its user's: run this as root, or without --with-keys.`,
      { cause },
    );
  }
}

/** Names below the state directory, in order. What is no key's file stays behind. */
function listKeyFiles(stateDir: string, withKeys: boolean): readonly string[] {
  const keys = join(stateDir, "keys");
  if (!existsSync(keys)) return [];
  const names = readdirSync(keys, { withFileTypes: true })
    .filter((folder) => folder.isDirectory() && (withKeys || /^audit-[a-z]+-public$/.test(folder.name)))
    .flatMap((folder) =>
      readdirSync(join(keys, folder.name), { withFileTypes: true })
        .filter((file) => file.isFile())
        .map((file) => `keys/${folder.name}/${file.name}`),
    );
  return names.filter(isKeyName).sort();
}
