/**
 * Which frps or frpc is ours: a small file beside the child's config with its pid and its start time. A parent that was
 * killed cannot end its child; the next one finds the record and does. A process is the recorded one only when pid *and*
 * start time agree: pids are used again, and names say nothing about whose process it is, so nothing is ever found by name.
 *
 * Linux: field 22 of /proc/<pid>/stat, with the boot id before it (ticks count from the boot, and boots resemble each
 * other). Elsewhere: `ps -o lstart=`. Where neither exists the start time is unknown, and no process is ever ended.
 */
// biome-ignore lint/style/noRestrictedImports: macOS has no /proc; ps is the only way to a process's start time there.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** What is remembered about a child. `startTime` is an opaque text that only this file writes and compares. */
export type ProcessRecord = {
  readonly pid: number;
  readonly startTime: string;
  /** sha256 of the binary that was started. */
  readonly digest: string;
  /** sha256 of the config that it was started with. */
  readonly configHash: string;
};

/** How the recorded process came to its end: by TERM, by KILL after the grace, or not at all (`reason` says why). */
export type RecordedEnd =
  | { readonly kind: "ended" | "killed"; readonly pid: number }
  | { readonly kind: "not-ended"; readonly pid: number; readonly reason: string };

const pollMs = 10;
const afterKillMs = 5_000;

/** The identity of a living process beyond its pid. Undefined when there is no such process, or it is only a zombie. */
export function readStartTime(pid: number): string | undefined {
  return process.platform === "linux" ? readProcStartTime(pid) : readPsStartTime(pid);
}

/** Reads the text of a record. Undefined for anything that `writeProcessRecord` did not write. Never throws. */
export function parseProcessRecord(text: string): ProcessRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, startTime, digest, configHash } = value as Record<string, unknown>;
  // Pids 0 and 1 and negative ones mean groups and init to kill(2): a damaged record must never reach it.
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 2) return undefined;
  if (typeof startTime !== "string" || typeof digest !== "string" || typeof configHash !== "string") return undefined;
  return { pid, startTime, digest, configHash };
}

/** Reads the record file. Undefined when it is missing, unreadable or damaged: then nothing is known, and nothing is ended. */
export function readProcessRecord(path: string): ProcessRecord | undefined {
  try {
    return parseProcessRecord(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Records a child, 0600, by rename. Synchronous on purpose: it is called in the same turn as the spawn, so that a parent
 * that is killed leaves no child that nobody knows of.
 */
export function writeProcessRecord(path: string, child: { pid: number; digest: string; configHash: string }): void {
  const record: ProcessRecord = {
    pid: child.pid,
    startTime: readStartTime(child.pid) ?? "",
    digest: child.digest,
    configHash: child.configHash,
  };
  const next = `${path}.new`;
  rmSync(next, { force: true });
  writeFileSync(next, `${JSON.stringify(record)}\n`, { mode: 0o600, flag: "wx" });
  renameSync(next, path);
}

/** Forgets the child: it is gone. A missing file is no fault. */
export function removeProcessRecord(path: string): void {
  rmSync(path, { force: true });
}

/** True when the process lives and is the recorded one: same pid, same start time. */
export function isRecordedAlive(record: ProcessRecord): boolean {
  return record.startTime !== "" && readStartTime(record.pid) === record.startTime;
}

/**
 * Watches a process that is not our child (nobody tells of its end), and resolves true when it is gone, false when aborted.
 * The pid is asked for every time, which costs microseconds; the start time too where the kernel tells it as cheaply.
 */
export async function awaitRecordedEnd(record: ProcessRecord, options: { pollMs: number; signal: AbortSignal }): Promise<boolean> {
  const { pollMs, signal } = options;
  const lookEvery = process.platform === "linux" ? 1 : 20;
  for (let look = 0; !signal.aborted; look += 1) {
    const isThere = look % lookEvery === 0 ? isRecordedAlive(record) : hasPid(record.pid);
    if (!isThere) return true;
    await wait(pollMs, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

/**
 * Ends the recorded process if it still lives: TERM, KILL after the grace, and waits until it is gone. Undefined when
 * there was nothing to end. `onEnding` is called once, before the first signal.
 */
export async function endRecordedProcess(
  path: string,
  options: { graceMs: number; onEnding?(pid: number): void },
): Promise<RecordedEnd | undefined> {
  const record = readProcessRecord(path);
  if (record === undefined || !isRecordedAlive(record)) return undefined;
  const { pid } = record;
  options.onEnding?.(pid);
  try {
    if (await signalUntilGone(record, "SIGTERM", options.graceMs)) return { kind: "ended", pid };
    if (await signalUntilGone(record, "SIGKILL", afterKillMs)) return { kind: "killed", pid };
  } catch (error) {
    return { kind: "not-ended", pid, reason: error instanceof Error ? error.message : String(error) };
  }
  return { kind: "not-ended", pid, reason: `it outlived SIGKILL by ${afterKillMs / 1000} s` };
}

async function signalUntilGone(record: ProcessRecord, signal: "SIGTERM" | "SIGKILL", deadlineMs: number): Promise<boolean> {
  // Compared again right before the signal: between record and signal the pid may have become somebody else's.
  if (!isRecordedAlive(record)) return true;
  try {
    process.kill(record.pid, signal);
  } catch (error) {
    if (isNoSuchProcess(error)) return true;
    throw error;
  }
  for (let waitedMs = 0; waitedMs <= deadlineMs; waitedMs += pollMs) {
    if (!isRecordedAlive(record)) return true;
    await wait(pollMs);
  }
  return !isRecordedAlive(record);
}

function hasPid(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !isNoSuchProcess(error);
  }
}

function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ESRCH";
}

function readProcStartTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // Field 2 is the command in parentheses and may hold spaces and parentheses itself: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const ticks = fields[19];
  // A zombie holds no port and takes no signal; where pid 1 does not reap (many containers) it stays for ever.
  if (state === undefined || ticks === undefined || state === "X") return undefined;
  if (state === "Z" && !hasOtherThreads(pid)) return undefined;
  bootId ??= readBootId();
  return `${bootId}/${ticks}`;
}

/** The same as long as we live. */
let bootId: string | undefined;

/** Go programs have many: the first may be a zombie while others still hold the ports. */
function hasOtherThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    // Hidden by systemd's ProcSubset=pid. Hidden from record and comparison alike, so the two still agree.
    return "";
  }
}

function readPsStartTime(pid: number): string | undefined {
  try {
    // The output depends on locale and time zone: both are fixed, or a record would not match after a change of either.
    const output = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      env: { PATH: "/bin:/usr/bin", LC_ALL: "C", TZ: "UTC" },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 2_000,
    }).trim();
    const [state = "Z", ...startTime] = output.split(/\s+/);
    return state.startsWith("Z") || startTime.length === 0 ? undefined : startTime.join(" ");
  } catch {
    return undefined;
  }
}
