/**
 * The last half of a restore: files that are ready take the places of those in force, which are kept aside. It begins when
 * `<stateDir>/restore.ready` is there whole, and from then on the restore is decided: whoever is killed in the middle, the
 * next start of a part, or of a restore, goes on where it stopped. Before that, nothing in force has been touched.
 */
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "@keyhole/core";
import { openStateLock } from "@keyhole/store";
import { z } from "zod";
import type { StateDirectory } from "../state/state-directory.ts";
import { fileOf, isKeyName, storeNames } from "./backup-form.ts";

/** Where a restore is prepared, and where it lies when it is decided. */
export const preparedIn = (stateDir: string): string => join(stateDir, "restore.new");
const decidedIn = (stateDir: string): string => join(stateDir, "restore.ready");
const doneIn = (stateDir: string): string => join(stateDir, "restore.done");

const restoredStore = z.strictObject({
  former: z.enum(["whole", "damaged", "lost"]),
  carried: z.record(z.string(), z.int()),
});

const planForm = z.strictObject({
  /** Of the backup's manifest. */
  backupId: z.string(),
  takenAt: z.iso.datetime(),
  version: z.string(),
  restoredAt: z.iso.datetime(),
  notBefore: z.iso.datetime(),
  proofsUntil: z.iso.datetime(),
  tokens: restoredStore,
  sessions: restoredStore.extend({ returnedBlocks: z.array(z.string()) }),
  /** Key files that were not there. */
  keys: z.array(z.string().refine(isKeyName)),
  /** What is put behind the names of files that are kept. */
  aside: z.string().regex(/^\.before-restore-[0-9TZ.-]+$/),
});

/** What a restore has decided, and what it tells. */
export type RestorePlan = z.infer<typeof planForm>;

/** Told before each step, which is one change of the disk. */
export type OnStep = (step: string) => void;

/** Makes what lies prepared the state that is in force, come what may. The plan is in it. */
export function decideRestore(stateDir: string, onStep: OnStep): void {
  onStep("decide");
  renameSync(preparedIn(stateDir), decidedIn(stateDir));
  syncFolder(stateDir);
}

/** Throws when a restore was decided and is not finished: what is in force is neither the one nor the other. */
export function requireNoRestore(stateDir: string): void {
  if (!existsSync(decidedIn(stateDir))) return;
  throw new Fault(
    "STATE_LOCKED",
    `A restore of ${stateDir} was interrupted. Finish it: give the same keyhole restore again, or start Keyhole.`,
  );
}

/** How long a part that starts waits for another one that finishes the same restore. */
const patienceMs = 20_000;

/**
 * Finishes a restore that was decided; undefined when there is none. Whoever calls it holds the lock of a part that uses the
 * stores, so nobody uses them. Safe to repeat after a kill at any moment.
 */
export async function finishRestore(state: StateDirectory, pid: number, onStep: OnStep = () => {}): Promise<RestorePlan | undefined> {
  if (!existsSync(decidedIn(state.path))) return cleanUp(state.path);
  await using _lock = await awaitLock(state.folder("lock", "restore"), pid);
  return existsSync(decidedIn(state.path)) ? swap(state.path, onStep) : cleanUp(state.path);
}

/** Of a restore that was killed when all was in place. */
function cleanUp(stateDir: string): RestorePlan | undefined {
  const done = doneIn(stateDir);
  if (!existsSync(done)) return undefined;
  const plan = existsSync(join(done, "plan.json")) ? readPlan(done) : undefined;
  rmSync(done, { recursive: true, force: true });
  return plan;
}

async function awaitLock(dir: string, pid: number): Promise<AsyncDisposable> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await openStateLock({ dir, pid });
    } catch (fault) {
      if (!(fault instanceof Fault) || fault.code !== "STATE_LOCKED" || performance.now() > deadline) throw fault;
      await wait(50);
    }
  }
}

function swap(stateDir: string, onStep: OnStep): RestorePlan {
  const ready = decidedIn(stateDir);
  const plan = readPlan(ready);
  for (const store of storeNames) {
    const fresh = join(ready, fileOf(store));
    const path = join(stateDir, fileOf(store));
    // Once the fresh one has left, what lies at the path is it.
    if (!existsSync(fresh)) continue;
    for (const suffix of ["", "-wal", "-shm"]) {
      if (!existsSync(path + suffix)) continue;
      onStep(`keep ${fileOf(store)}${suffix}`);
      renameSync(path + suffix, path + plan.aside + suffix);
    }
    onStep(`sync ${fileOf(store)}`);
    syncFolder(stateDir);
    onStep(`place ${fileOf(store)}`);
    renameSync(fresh, path);
    syncFolder(stateDir);
  }
  for (const name of plan.keys) placeKey(join(ready, name), join(stateDir, name), onStep);
  onStep("finish");
  rmSync(doneIn(stateDir), { recursive: true, force: true });
  renameSync(ready, doneIn(stateDir));
  syncFolder(stateDir);
  onStep("clean up");
  rmSync(doneIn(stateDir), { recursive: true, force: true });
  return plan;
}

/** A key that is there stays, and so does the mark of a retired one. */
function placeKey(fresh: string, path: string, onStep: OnStep): void {
  if (!existsSync(fresh) || existsSync(path)) return;
  onStep("place a key");
  makeLikeParent(dirname(path));
  giveTo(fresh, dirname(path));
  renameSync(fresh, path);
  syncFolder(dirname(path));
}

/** Makes a folder as private or as shared as the one that it lies in. */
function makeLikeParent(folder: string): void {
  if (existsSync(folder)) return;
  makeLikeParent(dirname(folder));
  mkdirSync(folder, { mode: statSync(dirname(folder)).mode & 0o7777 });
  giveTo(folder, dirname(folder));
}

/** Root gives a file to whom its folder, or the file before it, belongs to. */
export function giveTo(path: string, example: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(example);
  chownSync(path, uid, gid);
}

function readPlan(ready: string): RestorePlan {
  const file = join(ready, "plan.json");
  try {
    return planForm.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new Fault(
      "STATE_UNWRITABLE",
      `${file} cannot be read, so an interrupted restore cannot be finished. Restore it with the version of Keyhole that began it.`,
      { cause },
    );
  }
}

/** The plan as it is written. */
export const renderPlan = (plan: RestorePlan): string => `${JSON.stringify(plan, undefined, 2)}\n`;

/** Files of former restores that were kept. */
export const listKept = (stateDir: string, aside: string): readonly string[] =>
  readdirSync(stateDir)
    .filter((name) => name.includes(aside))
    .sort();

/** Forces the names in a folder to the disk. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  fsyncSync(folder);
  closeSync(folder);
}
