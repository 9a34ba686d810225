/**
 * Stock frps and frpc of the pinned version, from the first of these that is there: `FRPS_BIN` / `FRPC_BIN`, the cache,
 * frp's release archive, frp's Go module. Getting them needs the network and happens at set-up; finding them does not,
 * and happens at every start.
 */
import { access, constants } from "node:fs/promises";
import { join, resolve } from "node:path";
import { installIntoCache, readCache, withWorkDirectory } from "./binary-cache.ts";
import { digestFile, type FrpBinary } from "./binary-digest.ts";
import { buildFromModule } from "./binary-module.ts";
import { bareEnvironment, type Program, programFile, programs } from "./binary-platform.ts";
import { type DownloadLimits, defaultDownloadLimits, defaultReleases, getRelease } from "./binary-release.ts";
import { describeOutcome, run } from "./binary-run.ts";
import { FrpFault } from "./fault.ts";
import { type VersionPin, versionPin } from "./version-pin.ts";

/** Both programs. */
export type FrpBinaries = { readonly frps: FrpBinary; readonly frpc: FrpBinary };

type Environment = Readonly<Record<string, string | undefined>>;

const variable: Readonly<Record<Program, string>> = { frps: "FRPS_BIN", frpc: "FRPC_BIN" };

/**
 * Gets both programs: `FRPS_BIN` / `FRPC_BIN` (version checked), else cached (digest checked), else the release archive
 * (SHA-256 of `version.json`; `KEYHOLE_FRP_RELEASES` names a mirror), else built from the Go module. Safe to run twice
 * and by two processes at once. `say` gets one clear line a step.
 */
export function obtainBinaries(options: { cacheDir: string; env: Environment; say(line: string): void }): Promise<FrpBinaries> {
  return obtainPinned({ ...options, pin: versionPin, limits: defaultDownloadLimits });
}

/** `obtainBinaries` for a given pin and given limits, so that a test can serve an archive of its own. */
export async function obtainPinned(options: {
  readonly pin: VersionPin;
  readonly limits: DownloadLimits;
  readonly cacheDir: string;
  readonly env: Environment;
  say(line: string): void;
}): Promise<FrpBinaries> {
  const { pin, env, say } = options;
  const named = await findNamed(pin, env);
  for (const program of programs) if (named[program] !== undefined) say(`${program} ${pin.version}: ${variable[program]}`);
  const { frps, frpc } = named;
  if (frps !== undefined && frpc !== undefined) return { frps, frpc };
  return { ...(await obtainCached(options)), ...named };
}

/**
 * Finds what `obtainBinaries` recorded, or what `FRPS_BIN` / `FRPC_BIN` name, and checks it. No network. Throws
 * `FRP_BINARY_MISSING` when there is nothing and `FRP_BINARY_DIGEST` when it is not what was recorded.
 */
export async function locateBinaries(options: { cacheDir: string; env: Environment }): Promise<FrpBinaries> {
  const named = await findNamed(versionPin, options.env);
  const { frps, frpc } = named;
  if (frps !== undefined && frpc !== undefined) return { frps, frpc };
  const content = await readCache(options.cacheDir, versionPin.version);
  if (content.kind === "held") return { ...content.binaries, ...named };
  if (content.kind === "changed" && content.found !== undefined) {
    throw new FrpFault(
      "FRP_BINARY_DIGEST",
      `${content.binary.path} is not the file that was recorded: expected sha256 ${content.binary.sha256}, found ${content.found}. ` +
        "If nobody changed it on purpose, find out who did. To get it anew, run: npm run setup",
    );
  }
  throw new FrpFault("FRP_BINARY_MISSING", `frps and frpc ${versionPin.version} are not in ${options.cacheDir}. Run: npm run setup`);
}

async function obtainCached(options: Parameters<typeof obtainPinned>[0]): Promise<FrpBinaries> {
  const { pin, say, cacheDir } = options;
  const content = await readCache(cacheDir, pin.version);
  if (content.kind === "held") return content.binaries;
  if (content.kind === "changed") say(`${content.binary.path} is not the file that was recorded: getting it anew`);
  return withWorkDirectory(cacheDir, async (workDirectory) => {
    const baseUrl = options.env.KEYHOLE_FRP_RELEASES || defaultReleases;
    const release = await getRelease({ ...options, baseUrl, workDirectory });
    if (release.kind === "unavailable") say(`no release archive: ${release.reason}; building from the Go module instead`);
    const directory = release.kind === "got" ? release.directory : await buildFromModule({ ...options, workDirectory });
    for (const program of programs) await requireVersion(join(directory, programFile(program)), program, pin, options.env);
    const source = release.kind === "got" ? "release archive" : "Go module";
    const binaries = await installIntoCache({ cacheDir, version: pin.version, directory, source });
    say(`frps and frpc ${pin.version}: ready (${source}), digests recorded`);
    return binaries;
  });
}

async function findNamed(pin: VersionPin, env: Environment): Promise<{ frps?: FrpBinary; frpc?: FrpBinary }> {
  const found: { frps?: FrpBinary; frpc?: FrpBinary } = {};
  for (const program of programs) {
    // An empty variable is an absent one.
    const named = env[variable[program]] || undefined;
    if (named === undefined) continue;
    const path = resolve(named);
    await access(path, constants.X_OK).catch((cause: unknown) => {
      throw new FrpFault("FRP_BINARY_MISSING", `${variable[program]} names ${path}, which is not there or cannot be executed.`, { cause });
    });
    await requireVersion(path, variable[program], pin, env);
    found[program] = { path, sha256: await digestFile(path) };
  }
  return found;
}

/** `frps -v` prints its version and nothing else. Another version answers other messages: it never runs (invariant 8). */
async function requireVersion(path: string, name: string, pin: VersionPin, env: Environment): Promise<void> {
  const outcome = await run(path, ["-v"], { env: bareEnvironment(env), timeoutMs: 20_000 });
  const found = outcome.kind === "exited" && outcome.status === 0 ? outcome.output.trim().slice(0, 60) : undefined;
  if (found === pin.version) return;
  const what = found === undefined ? `did not tell its version: ${describeOutcome(outcome)}` : `is version "${found}"`;
  throw new FrpFault("FRP_BINARY_VERSION", `${name}: ${path} ${what}. Exactly ${pin.version} is needed.`);
}
