import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { faultOf, openTemporaryFolder } from "../test/temporary-folder.ts";
import { openStateLock } from "./index.ts";

const program = fileURLToPath(new URL("../test/hold-lock.ts", import.meta.url));

test("a second holder is refused with the first one's pid and the directory, and admitted when that one lets go", async () => {
  using folder = openTemporaryFolder();
  const first = await openStateLock({ dir: folder.path, pid: 4711 });
  for (const _attempt of [1, 2]) {
    const fault = await faultOf(openStateLock({ dir: folder.path, pid: 2 }));
    expect(fault.code).toBe("STATE_LOCKED");
    expect(fault.message).toContain("process 4711");
    expect(fault.message).toContain(folder.path);
  }
  await first[Symbol.asyncDispose]();
  expect(existsSync(folder.file("lock.pid"))).toBe(false);
  await using _second = await openStateLock({ dir: folder.path, pid: 2 });
  await first[Symbol.asyncDispose]();
  expect((await faultOf(openStateLock({ dir: folder.path, pid: 3 }))).message).toContain("process 2");
});

test("who has patience gets the lock of a holder that only needs it for a moment", async () => {
  using folder = openTemporaryFolder();
  const first = await openStateLock({ dir: folder.path, pid: 1 });
  const waiting = openStateLock({ dir: folder.path, pid: 2, patienceMs: 10_000 });
  expect((await faultOf(openStateLock({ dir: folder.path, pid: 3, patienceMs: 50 }))).code).toBe("STATE_LOCKED");
  await first[Symbol.asyncDispose]();
  await using _second = await waiting;
  expect((await faultOf(openStateLock({ dir: folder.path, pid: 3 }))).message).toContain("process 2");
});

test("a holder that is killed has let go", async () => {
  using folder = openTemporaryFolder();
  const child = spawn(process.execPath, [program, folder.path], { stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(child, "close");
  await once(child.stdout, "data");
  expect((await faultOf(openStateLock({ dir: folder.path, pid: 1 }))).message).toContain(`process ${child.pid}`);
  child.kill("SIGKILL");
  await closed;
  await using _lock = await openStateLock({ dir: folder.path, pid: 1 });
});

test("a pid that nobody can read does not hide that the directory is locked", async () => {
  using folder = openTemporaryFolder();
  await using _lock = await openStateLock({ dir: folder.path, pid: 1 });
  writeFileSync(folder.file("lock.pid"), "what is this\nsecond line");
  expect((await faultOf(openStateLock({ dir: folder.path, pid: 2 }))).message).toContain("another process");
});

test("a directory that is missing or no directory is a fault of its own", async () => {
  using folder = openTemporaryFolder();
  expect((await faultOf(openStateLock({ dir: folder.file("missing"), pid: 1 }))).code).toBe("STATE_UNWRITABLE");
  writeFileSync(folder.file("file"), "");
  expect((await faultOf(openStateLock({ dir: folder.file("file"), pid: 1 }))).code).toBe("STATE_UNWRITABLE");
});
