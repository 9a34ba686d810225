/**
 * Disks that fail, by real means: a small file system that is filled, a file that the kernel lets nobody write. Where this user may
 * not do the one (no root, no such file system), the kernel's limit on file sizes does the same to a process: it can write no more.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openTemporaryDirectory } from "./temporary-directory.ts";

const run = (command: string, ...args: readonly string[]): boolean => spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** A disk with room for little; `isReal` false: it is a folder like any other, and `fill` limits the processes instead. */
export type SmallDisk = Disposable & {
  readonly path: string;
  readonly isReal: boolean;
  /** Takes all the room there is from these processes. Undone with `free`. */
  fill(pids: readonly number[]): void;
  free(pids: readonly number[]): void;
};

/** Opens one of so many MiB. */
export function openSmallDisk(mebibytes: number): SmallDisk {
  const folder = openTemporaryDirectory();
  const path = join(folder.path, "disk");
  mkdirSync(path);
  const isReal =
    mountImage(join(folder.path, "image"), path, mebibytes) ||
    run("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m`, "keyhole-test", path);
  const ballast = join(path, "ballast");
  return {
    path,
    isReal,
    fill(pids) {
      if (!isReal) return limitFileSize(pids, "1");
      const file = openSync(ballast, "w");
      try {
        for (let bytes = 2 ** 20; bytes > 0; ) if (!hasWritten(file, bytes)) bytes = Math.floor(bytes / 2);
      } finally {
        closeSync(file);
      }
    },
    free(pids) {
      if (!isReal) return limitFileSize(pids, "unlimited");
      rmSync(ballast, { force: true });
    },
    [Symbol.dispose]() {
      if (isReal && !run("umount", path)) run("umount", "-l", path);
      folder[Symbol.dispose]();
    },
  };
}

function hasWritten(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes)) === bytes;
  } catch {
    return false;
  }
}

/** An ext4 of its own, in a file. */
function mountImage(image: string, path: string, mebibytes: number): boolean {
  writeFileSync(image, "");
  truncateSync(image, mebibytes * 2 ** 20);
  return run("mkfs.ext4", "-q", "-m", "0", image) && run("mount", "-o", "loop", image, path);
}

/** Writes beyond so many bytes of any file fail with EFBIG. The hard limit stays, so it can be taken back. */
function limitFileSize(pids: readonly number[], bytes: string): void {
  for (const pid of pids)
    if (!run("prlimit", "--pid", String(pid), `--fsize=${bytes}:`)) throw new Error(`prlimit could not limit process ${pid}`);
}

/** Lets nobody write these files, whoever has them open (root, on ext4 and its like), or else these processes no file at all. Dispose undoes it. */
export function makeImmutable(files: readonly string[], pids: readonly number[]): Disposable {
  const there = files.filter((file) => existsSync(file));
  if (there[0] !== undefined && canMakeImmutable(`${there[0]}.probe`) && run("chattr", "+i", ...there))
    return { [Symbol.dispose]: () => void run("chattr", "-i", ...there) };
  limitFileSize(pids, "1");
  return { [Symbol.dispose]: () => limitFileSize(pids, "unlimited") };
}

/** Some file systems let go on whoever has the file open. */
function canMakeImmutable(probe: string): boolean {
  const file = openSync(probe, "w");
  try {
    if (!run("chattr", "+i", probe)) return false;
    writeSync(file, "x");
    return false;
  } catch {
    return true;
  } finally {
    closeSync(file);
    run("chattr", "-i", probe);
    rmSync(probe, { force: true });
  }
}
