/**
 * Where got binaries lie: `<cacheDir>/<version>-<platform>/` with frps, frpc and `digests.json`. A directory appears
 * there whole, by one rename, or not at all: two processes that get the binaries at once both end with a good one.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { digestFile, type FrpBinary } from "./binary-digest.ts";
import { type Program, platformName, programFile, programs } from "./binary-platform.ts";

/** How the cached binaries came here. */
export type BinarySource = "release archive" | "Go module";

/** What the cache holds: nothing, both programs, or something that is not what was recorded. */
export type CacheContent =
  | { readonly kind: "empty" }
  | { readonly kind: "held"; readonly binaries: Readonly<Record<Program, FrpBinary>>; readonly source: string }
  | { readonly kind: "changed"; readonly binary: FrpBinary; readonly found: string | undefined };

/** The directory of a version on this platform. */
export function cachedDirectory(cacheDir: string, version: string): string {
  return join(resolve(cacheDir), `${version}-${platformName()}`);
}

const digestShape = /^[0-9a-f]{64}$/;

/** Reads the record and compares the files with it. */
export async function readCache(cacheDir: string, version: string): Promise<CacheContent> {
  const directory = cachedDirectory(cacheDir, version);
  const record = parseRecord(await readFile(join(directory, "digests.json"), "utf8").catch(() => ""));
  if (record === undefined) return { kind: "empty" };
  const binaries = {
    frps: { path: join(directory, programFile("frps")), sha256: record.frps },
    frpc: { path: join(directory, programFile("frpc")), sha256: record.frpc },
  };
  for (const program of programs) {
    const found = await digestFile(binaries[program].path).catch(() => undefined);
    if (found !== binaries[program].sha256) return { kind: "changed", binary: binaries[program], found };
  }
  return { kind: "held", binaries, source: record.source };
}

function parseRecord(text: string): { frps: string; frpc: string; source: string } | undefined {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof record !== "object" || record === null) return undefined;
  const { frps, frpc, source } = record as Record<string, unknown>;
  if (typeof frps !== "string" || typeof frpc !== "string" || !digestShape.test(frps) || !digestShape.test(frpc)) return undefined;
  return { frps, frpc, source: typeof source === "string" ? source : "unknown" };
}

/** Makes a directory in the cache that nobody else uses, runs `work` in it, and removes it whatever happens. */
export async function withWorkDirectory<T>(cacheDir: string, work: (directory: string) => Promise<T>): Promise<T> {
  const root = resolve(cacheDir);
  await mkdir(root, { recursive: true });
  const directory = join(root, `.work-${randomBytes(8).toString("hex")}`);
  await mkdir(directory, { mode: 0o755 });
  try {
    await removeAbandoned(root, (await stat(directory)).mtimeMs);
    return await work(directory);
  } finally {
    await removeTree(directory);
  }
}

/** Work directories of a process that was killed. An hour is more than any set-up takes. */
async function removeAbandoned(root: string, nowMs: number): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(".work-")) continue;
    const found = await stat(join(root, name)).catch(() => undefined);
    if (found !== undefined && nowMs - found.mtimeMs > 3_600_000) await removeTree(join(root, name));
  }
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
}

/** Records the digests of both programs in `directory` and moves it into the cache as a whole. */
export async function installIntoCache(options: {
  readonly cacheDir: string;
  readonly version: string;
  readonly directory: string;
  readonly source: BinarySource;
}): Promise<Readonly<Record<Program, FrpBinary>>> {
  const digests: Record<string, string> = {};
  for (const program of programs) {
    const file = join(options.directory, programFile(program));
    await chmod(file, 0o755);
    digests[program] = await digestFile(file);
  }
  const record = { version: options.version, platform: platformName(), source: options.source, ...digests };
  await writeFile(join(options.directory, "digests.json"), `${JSON.stringify(record, undefined, 2)}\n`);

  const target = cachedDirectory(options.cacheDir, options.version);
  for (let attempt = 0; ; attempt += 1) {
    const failure = await rename(options.directory, target).then(
      () => undefined,
      (error: unknown) => error,
    );
    const content = await readCache(options.cacheDir, options.version);
    // Another process may have been first: what it installed is as good, and may be running by now.
    if (content.kind === "held") return content.binaries;
    if (failure === undefined || attempt === 4) throw failure ?? new Error(`${target} changed while it was installed`);
    await moveAway(options.cacheDir, target);
  }
}

/** Renamed before it is removed: nobody ever sees half of it under the name that counts. */
async function moveAway(cacheDir: string, target: string): Promise<void> {
  const aside = join(resolve(cacheDir), `.work-${randomBytes(8).toString("hex")}`);
  const isMoved = await rename(target, aside).then(
    () => true,
    () => false,
  );
  if (isMoved) await removeTree(aside);
}
