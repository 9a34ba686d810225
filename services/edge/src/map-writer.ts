/**
 * Writes the map files: whole, to a neighbour, then renamed, so that a reader sees the old one or the new one. Changes that
 * come while a write is under way share the next one (group commit). The files of blocks are flushed to the disk before
 * the rename: a block is acknowledged only when it is durable (invariant 12).
 */
import { chmod, mkdir, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

export type MapFile = { readonly name: string; readonly isFlushed: boolean; readonly render: () => string };

/** Which files a commit could not write; empty when all is well. */
export type CommitResult = ReadonlyMap<string, Error>;

export type MapWriter = {
  /** Marks files as changed. Resolves when a write that began after this call is over. Never rejects. */
  commit(names: readonly string[]): Promise<CommitResult>;
};

const retryMs = 1000;

export function createMapWriter(mapsDir: string, files: readonly MapFile[]): MapWriter {
  const dirty = new Set<string>();
  let next: Promise<CommitResult> | undefined;
  let current: Promise<unknown> = Promise.resolve();
  let retry: NodeJS.Timeout | undefined;

  const writeDirty = async (): Promise<CommitResult> => {
    next = undefined;
    const failed = new Map<string, Error>();
    const pending = files.filter((file) => dirty.has(file.name));
    dirty.clear();
    for (const file of pending) {
      try {
        await writeWhole(mapsDir, file);
      } catch (error) {
        failed.set(file.name, error instanceof Error ? error : new Error(String(error)));
        dirty.add(file.name);
      }
    }
    // What could not be written is tried again, also when nothing else ever changes.
    if (failed.size > 0) {
      clearTimeout(retry);
      retry = setTimeout(() => commit([]), retryMs).unref();
    }
    return failed;
  };
  const commit = (names: readonly string[]): Promise<CommitResult> => {
    for (const name of names) dirty.add(name);
    next ??= current.then(writeDirty);
    current = next;
    return next;
  };
  return { commit };
}

async function writeWhole(mapsDir: string, file: MapFile): Promise<void> {
  const path = join(mapsDir, file.name);
  const temporary = `${path}.new`;
  // What we make is the group's too, whatever the umask (mkdir(2) drops the set-group-id bit); what others made stays theirs.
  if ((await mkdir(mapsDir, { recursive: true })) !== undefined) await chmod(mapsDir, 0o2770);
  // Made anew each time: one that was left by another user could be written, but not be given its mode.
  await unlink(temporary).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  const handle = await open(temporary, "wx", 0o660);
  try {
    await handle.chmod(0o660);
    await handle.writeFile(file.render());
    if (file.isFlushed) await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  if (!file.isFlushed) return;
  const folder = await open(mapsDir, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
