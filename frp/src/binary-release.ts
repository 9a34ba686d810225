/**
 * frps and frpc out of frp's own release archive, by platform. The archive's SHA-256 is in `frp/version.json`, so it does
 * not matter who serves it. A server that cannot be reached, hangs or answers badly is no fault: the caller goes on to
 * the next way. Bytes that are not the pinned ones are one, and stop everything.
 */
import { createHash } from "node:crypto";
import { lstat, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { platformName, programFile, programs, releaseArchiveName } from "./binary-platform.ts";
import { describeOutcome, run } from "./binary-run.ts";
import { FrpFault } from "./fault.ts";
import type { VersionPin } from "./version-pin.ts";

/** Where frp publishes its releases. `KEYHOLE_FRP_RELEASES` names a mirror; the checksum is the same. */
export const defaultReleases = "https://github.com/fatedier/frp/releases/download";

/** What a download may take. `headersMs` covers connecting and the redirects of a release host. */
export type DownloadLimits = {
  readonly headersMs: number;
  readonly stallMs: number;
  readonly totalMs: number;
  readonly maxBytes: number;
};

/** An archive of frp has about 15 MB. */
export const defaultDownloadLimits: DownloadLimits = { headersMs: 10_000, stallMs: 15_000, totalMs: 120_000, maxBytes: 128 << 20 };

/** Got into `directory`, or the reason in words why this way is closed. */
export type ReleaseOutcome =
  | { readonly kind: "got"; readonly directory: string }
  | { readonly kind: "unavailable"; readonly reason: string };

/** Downloads, checks and unpacks the archive of this platform below `workDirectory`. Throws `FRP_DOWNLOAD_CHECKSUM`. */
export async function getRelease(options: {
  readonly pin: VersionPin;
  readonly baseUrl: string;
  readonly workDirectory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly limits: DownloadLimits;
  say(line: string): void;
}): Promise<ReleaseOutcome> {
  const { pin } = options;
  const platform = platformName();
  const expected = pin.releaseArchives[platform];
  if (expected === undefined) return { kind: "unavailable", reason: `frp publishes no pinned archive for ${platform}` };
  const name = releaseArchiveName(pin.version, platform);
  const url = parseUrl(`${options.baseUrl.replace(/\/+$/, "")}/v${pin.version}/${name}`);
  if (url === undefined) return { kind: "unavailable", reason: "the base address of the releases is no http or https URL" };

  options.say(`downloading ${name} from ${url.host}`);
  const archive = join(options.workDirectory, name);
  const download = await downloadFile(url, archive, options.limits);
  if (download.kind === "failed") return { kind: "unavailable", reason: download.reason };
  if (download.sha256 !== expected) {
    throw new FrpFault(
      "FRP_DOWNLOAD_CHECKSUM",
      `${name} from ${url.host} is not the published file: expected sha256 ${expected}, found ${download.sha256}. Nothing was installed. ` +
        "Something between here and there changes downloads (a proxy, a sign-in page), or the server is not to be trusted. " +
        "Use another network, or set FRPS_BIN and FRPC_BIN to binaries that you trust.",
    );
  }
  return unpack(archive, options);
}

function parseUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  return url !== null && (url.protocol === "https:" || url.protocol === "http:") ? url : undefined;
}

type Download = { readonly kind: "done"; readonly sha256: string } | { readonly kind: "failed"; readonly reason: string };

async function downloadFile(url: URL, path: string, limits: DownloadLimits): Promise<Download> {
  const abort = new AbortController();
  const giveUp = (reason: string) => (): void => abort.abort(new DownloadStopped(reason));
  const total = setTimeout(giveUp(`it took longer than ${limits.totalMs / 1000} s`), limits.totalMs);
  let patience = setTimeout(giveUp(`no answer within ${limits.headersMs / 1000} s`), limits.headersMs);
  try {
    const response = await fetch(url, { signal: abort.signal, redirect: "follow" });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      return { kind: "failed", reason: `the server answered ${response.status}` };
    }
    const stalled = giveUp(`no byte for ${limits.stallMs / 1000} s`);
    const hash = createHash("sha256");
    let size = 0;
    await using file = await open(path, "w", 0o600);
    for await (const chunk of response.body) {
      clearTimeout(patience);
      patience = setTimeout(stalled, limits.stallMs);
      size += chunk.byteLength;
      if (size > limits.maxBytes) throw new DownloadStopped(`it is larger than ${limits.maxBytes} bytes`);
      hash.update(chunk);
      await file.write(chunk);
    }
    return { kind: "done", sha256: hash.digest("hex") };
  } catch (error) {
    return { kind: "failed", reason: describeFailure(error) };
  } finally {
    clearTimeout(total);
    clearTimeout(patience);
    // Ends a connection whose rest nobody wants; without effect after a whole answer.
    abort.abort();
  }
}

/** We ended the download; the message says why. */
class DownloadStopped extends Error {}

function describeFailure(error: unknown): string {
  if (error instanceof DownloadStopped) return error.message;
  const { code } = (error instanceof Error ? (error.cause ?? error) : {}) as { code?: unknown };
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "its name is not known here (no network?)";
  return typeof code === "string" ? `the connection failed (${code})` : "the connection failed";
}

/** The system's `tar`: GNU tar, or bsdtar, which is `tar.exe` on Windows and reads zip too. */
async function unpack(
  archive: string,
  options: { readonly workDirectory: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<ReleaseOutcome> {
  const directory = join(options.workDirectory, "release");
  await mkdir(directory);
  const outcome = await run("tar", ["-xf", archive, "-C", directory, "--strip-components=1"], { env: options.env, timeoutMs: 60_000 });
  if (outcome.kind !== "exited" || outcome.status !== 0) {
    return { kind: "unavailable", reason: `tar could not unpack it: ${describeOutcome(outcome)}` };
  }
  for (const program of programs) {
    const found = await lstat(join(directory, programFile(program))).catch(() => undefined);
    if (found?.isFile() !== true) return { kind: "unavailable", reason: `the archive holds no ${programFile(program)}` };
  }
  return { kind: "got", directory };
}
