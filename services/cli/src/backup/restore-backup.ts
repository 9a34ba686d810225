/**
 * Puts a backup in place and undoes nothing (invariant 6). Everything is made ready beside the files in force, which are only
 * read; then it is decided by one rename, and swapped. Killed before that rename, nothing has happened; killed after it, the
 * next start or the next restore finishes it.
 */
import { chmodSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type CheckpointSigner, Fault } from "@keyhole/core";
import { inspectStore, openStateLock, restoreSessions, restoreTokens, type StoreFacts } from "@keyhole/store";
import type { Log } from "../log.ts";
import { writePrivateFile } from "../state/private-file.ts";
import type { StateDirectory } from "../state/state-directory.ts";
import { below, type ReadBackup, readTar } from "./backup-file.ts";
import { fileOf, invalid, isKeyName, type Manifest, type StoreName, storeNames } from "./backup-form.ts";
import { readEdgeBlocks } from "./edge-blocks.ts";
import type { Progress } from "./progress.ts";
import { decideRestore, finishRestore, giveTo, type OnStep, preparedIn, type RestorePlan, renderPlan, syncFolder } from "./restore-swap.ts";

/** A backup that is whole. */
export type CheckedBackup = ReadBackup & { readonly file: string };

/** Reads a backup and looks at everything in it; changes nothing. Throws `BACKUP_MISSING`, `BACKUP_INVALID` or `STORE_NEWER`. */
export async function checkBackup(path: string, progress: Progress): Promise<CheckedBackup> {
  const file = requireFile(path);
  const scratch = await mkdtemp(join(tmpdir(), "keyhole-check-"));
  try {
    // Keys are not written down for this.
    const read = await readTar(
      file,
      (name) => (isKeyName(name) ? undefined : join(scratch, name)),
      (done, total) => progress("reading the backup", done / total),
    );
    inspectStores(file, scratch, read.manifest, progress);
    return { ...read, file };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A restore that is in force. `isFinished`: it had been begun before, and only its end was missing. */
export type RestoredState = { readonly plan: RestorePlan; readonly isFinished: boolean };

/**
 * Restores. Holds the locks of the token service and the plugin meanwhile. Throws `STATE_LOCKED` when one of them runs, and
 * what `checkBackup` throws; then nothing is changed.
 */
export async function restoreBackup(options: {
  readonly state: StateDirectory;
  readonly file: string;
  /** How far ahead of our clock a proof may be dated. */
  readonly windowSeconds: number;
  /** Signs for the event that the restored chain gets; undefined where there is no key yet. */
  readonly signerOf: (writer: StoreName) => CheckpointSigner | undefined;
  readonly now: () => Date;
  readonly pid: number;
  readonly log: Log;
  readonly progress: Progress;
  readonly onStep?: OnStep;
}): Promise<RestoredState> {
  const { state, now, pid, progress, onStep = () => {} } = options;
  const file = requireFile(options.file);
  await using stack = new AsyncDisposableStack();
  for (const part of ["token", "plugin"]) stack.use(await openStateLock({ dir: state.folder("lock", part), pid }));
  const begun = await finishRestore(state, pid, onStep);
  const prepared = preparedIn(state.path);
  onStep("make room");
  rmSync(prepared, { recursive: true, force: true });
  mkdirSync(prepared, { mode: 0o700 });
  try {
    onStep("unpack");
    const read = await readTar(file, below(prepared), (done, total) => progress("reading the backup", done / total));
    if (begun?.backupId === read.id) {
      rmSync(prepared, { recursive: true, force: true });
      return { plan: begun, isFinished: true };
    }
    inspectStores(file, prepared, read.manifest, progress);
    const moment = now();
    // What was issued since would still count: its issued-at lies ahead of a clock that is behind.
    if (moment.toISOString() < read.manifest.takenAt)
      throw invalid(
        file,
        `it was taken at ${read.manifest.takenAt}, and this machine's clock says ${moment.toISOString()}; set the clock right`,
      );
    const plan = await prepare(prepared, read, { ...options, now: moment, onStep });
    writePrivateFile(join(prepared, "plan.json"), renderPlan(plan));
    syncFolder(prepared);
  } catch (cause) {
    rmSync(prepared, { recursive: true, force: true });
    throw cause;
  }
  decideRestore(state.path, onStep);
  progress("putting it in place");
  const plan = await finishRestore(state, pid, onStep);
  if (plan === undefined) throw new Fault("STATE_UNWRITABLE", `${state.path} was changed while it was restored. Repeat the command.`);
  return { plan, isFinished: false };
}

/** Whatever a backup says, the world reads no key, and nobody runs one. */
const keyModes = 0o660;

type Preparing = Pick<Parameters<typeof restoreBackup>[0], "state" | "windowSeconds" | "signerOf" | "log" | "progress"> & {
  readonly now: Date;
  readonly onStep: OnStep;
};

async function prepare(prepared: string, { manifest, id }: ReadBackup, options: Preparing): Promise<RestorePlan> {
  const { state, windowSeconds, signerOf, now, log, progress, onStep } = options;
  const takenAt = new Date(manifest.takenAt);
  const orderOf = (store: StoreName) => ({
    path: join(prepared, fileOf(store)),
    formerPath: join(state.path, fileOf(store)),
    backup: { takenAt, head: manifest.stores[store]?.head ?? undefined },
    now,
    signer: signerOf(store),
    log,
  });
  progress("carrying over what tokens.db says");
  onStep("carry over tokens.db");
  const tokens = await restoreTokens({ ...orderOf("tokens"), windowSeconds });
  progress("carrying over what sessions.db says");
  onStep("carry over sessions.db");
  const sessions = await restoreSessions({ ...orderOf("sessions"), edgeBlocks: readEdgeBlocks(join(state.path, "maps")) });
  for (const store of storeNames) {
    const path = join(prepared, fileOf(store));
    if (existsSync(`${path}-wal`))
      throw new Fault("STORE_UNAVAILABLE", `${path} is in use by another program. Close it, and repeat the command.`);
    const former = join(state.path, fileOf(store));
    giveTo(path, existsSync(former) ? former : state.path);
  }
  const keys = manifest.files.filter(({ name }) => isKeyName(name) && !existsSync(join(state.path, name)));
  for (const { name, mode } of keys) chmodSync(join(prepared, name), mode & keyModes);
  return {
    backupId: id,
    takenAt: manifest.takenAt,
    version: manifest.version,
    restoredAt: now.toISOString(),
    notBefore: tokens.notBefore.toISOString(),
    proofsUntil: tokens.proofsUntil.toISOString(),
    tokens: { former: tokens.former, carried: tokens.carried },
    sessions: { former: sessions.former, carried: sessions.carried, returnedBlocks: sessions.returnedBlocks.map(String) },
    keys: keys.map(({ name }) => name),
    aside: `.before-restore-${now.toISOString().replaceAll(/[:-]/g, "")}`,
  };
}

/** Throws unless both stores of a backup are what its manifest says. */
function inspectStores(file: string, folder: string, manifest: Manifest, progress: Progress): void {
  for (const store of storeNames) {
    const said = manifest.stores[store];
    if (said === undefined) continue;
    progress(`checking ${fileOf(store)}`);
    const found: StoreFacts = inspect(file, join(folder, fileOf(store)), store);
    if (found.schema !== said.schema || found.head?.hash !== said.head?.hash || found.head?.sequence !== said.head?.sequence)
      throw invalid(file, `${fileOf(store)} in it is not the one that its manifest tells of`);
  }
}

function inspect(file: string, path: string, store: StoreName): StoreFacts {
  try {
    return inspectStore({ path, writer: store });
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    if (fault.code === "STORE_NEWER")
      throw new Fault(
        "STORE_NEWER",
        `${file} was made by a newer version of Keyhole than this one. Restore it with that version. Nothing was changed.`,
        { cause: fault },
      );
    throw invalid(file, `${fileOf(store)} in it is damaged`, fault);
  }
}

function requireFile(path: string): string {
  const file = resolve(path);
  const found = statSync(file, { throwIfNoEntry: false });
  // A device or a pipe may never end.
  if (found?.isFile() === false) throw invalid(file, "it is no file");
  if (found !== undefined) return file;
  throw new Fault("BACKUP_MISSING", `There is no file ${file}. Name the backup that keyhole backup has written.`);
}
