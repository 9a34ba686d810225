/** Writes and reads the one file of a backup. What is read is believed only as far as the digests of its manifest go. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Fault } from "@keyhole/core";
import { extract, type Header, pack } from "tar-stream";
import { invalid, type Manifest, type ManifestFile, manifestBytes, parseManifest } from "./backup-form.ts";

/** Bytes that were done, of all. */
export type ByteProgress = (done: number, total: number) => void;

/** The SHA-256 of a file in hexadecimal digits, and its size. */
export async function digestFile(path: string): Promise<{ readonly sha256: string; readonly size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest("hex"), size };
}

/** Writes the tar to a file that is not there, mode 0600, on the disk when this resolves. `pathOf`: where a named file lies. */
export async function writeTar(
  path: string,
  manifest: Manifest,
  pathOf: (name: string) => string,
  onProgress: ByteProgress,
): Promise<void> {
  const tar = pack();
  const mtime = new Date(manifest.takenAt);
  const count = countBytes(manifest, onProgress);
  const fill = async (): Promise<void> => {
    tar.entry({ name: "manifest.json", mode: 0o600, mtime }, `${JSON.stringify(manifest, undefined, 2)}\n`);
    for (const { name, size, mode } of manifest.files) {
      const entry = tar.entry({ name, size, mode, mtime });
      await pipeline(createReadStream(pathOf(name)), counted(count), entry);
    }
    tar.finalize();
  };
  // `flush`: synced before it is closed.
  const written = pipeline(tar, createWriteStream(path, { flags: "wx", mode: 0o600, flush: true }));
  await Promise.all([
    written,
    fill().catch((error: Error) => {
      tar.destroy(error);
      throw error;
    }),
  ]);
}

function countBytes({ files }: Manifest, onProgress: ByteProgress): (bytes: number) => void {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  return (bytes) => {
    done += bytes;
    onProgress(done, total);
  };
}

const counted = (count: (bytes: number) => void): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count(chunk.length);
      done(undefined, chunk);
    },
  });

/** A backup that was read: its manifest, and the SHA-256 of that, which is the backup's name. */
export type ReadBackup = { readonly manifest: Manifest; readonly id: string };

/**
 * Reads the whole of a backup and checks every file against the manifest. `place` says where a file is to be written; without a
 * place it is only checked. Throws `Fault("BACKUP_INVALID")` for what is no backup, was cut off or altered; what was written is
 * then not to be used.
 */
export async function readTar(
  file: string,
  place: (name: string) => string | undefined,
  onProgress: ByteProgress = () => {},
): Promise<ReadBackup> {
  const entries = extract();
  let read: ReadBackup | undefined;
  const missing = new Map<string, ManifestFile>();
  let count = (_bytes: number): void => {};
  try {
    const feeding = pipeline(createReadStream(file), entries);
    feeding.catch(() => {}); // the loop below meets it too
    for await (const entry of entries as AsyncIterable<AsyncIterable<Buffer> & { readonly header: Header }>) {
      const { name, type, size } = entry.header;
      if (read === undefined) {
        if (name !== "manifest.json" || type !== "file" || (size ?? 0) > manifestBytes)
          throw invalid(file, "it does not begin with a manifest");
        read = await readManifest(file, entry);
        for (const each of read.manifest.files) missing.set(each.name, each);
        count = countBytes(read.manifest, onProgress);
        continue;
      }
      const wanted = missing.get(name);
      if (wanted === undefined || type !== "file" || size !== wanted.size)
        throw invalid(file, "it holds something that its manifest does not name");
      missing.delete(name);
      const hash = createHash("sha256");
      await take(entry, place(name), hash, count);
      if (hash.digest("hex") !== wanted.sha256) throw invalid(file, `${name} in it is not what was written (its SHA-256 differs)`);
    }
    await feeding;
  } catch (error) {
    if (error instanceof Fault) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || !/^E[A-Z]+$/.test(code)) throw invalid(file, `it is no whole tar (${message})`, error);
    if (code === "ENOSPC")
      throw new Fault("STATE_UNWRITABLE", "There is no space to unpack the backup. Free some, and repeat the command.", { cause: error });
    throw invalid(file, `it cannot be read or unpacked (${code})`, error);
  }
  if (read === undefined) throw invalid(file, "it is empty");
  if (missing.size > 0) throw invalid(file, `${[...missing.keys()][0]} is missing from it`);
  return read;
}

async function readManifest(file: string, entry: AsyncIterable<Buffer>): Promise<ReadBackup> {
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return { manifest: parseManifest(file, bytes.toString("utf8")), id: createHash("sha256").update(bytes).digest("hex") };
}

async function take(entry: AsyncIterable<Buffer>, path: string | undefined, hash: Hash, count: (bytes: number) => void): Promise<void> {
  if (path !== undefined) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const target = path === undefined ? undefined : await open(path, "wx", 0o600);
  try {
    for await (const chunk of entry) {
      hash.update(chunk);
      count(chunk.length);
      await target?.writeFile(chunk);
    }
    await target?.sync();
  } finally {
    await target?.close();
  }
}

/** The place of each file below a folder. */
export const below =
  (folder: string) =>
  (name: string): string =>
    join(folder, name);
