/** The log (`-wal`) beside a file is removed: by somebody who took it for rubbish, or by a copy that left it behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, renameSync, rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { at, signedOrder } from "../test/signed-orders.ts";
import { eventually, faultOf, labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { copyStore, openTokenReader, openTokenStore } from "./index.ts";

const program = fileURLToPath(new URL("../test/order-tokens.ts", import.meta.url));

/** What is read in the next 250 ms. */
async function observeReads<T>(read: () => Promise<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for (let reads = 0; reads < 25; reads += 1) {
    await pause(10);
    found.push(await read());
  }
  return found;
}

/** Leaves what a writer leaves that is killed. */
async function killWriter(path: string): Promise<void> {
  const child = spawn(process.execPath, [program, path, "1800000000"], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  child.stdout.once("data", () => child.kill("SIGKILL"));
  await closed;
}

test("6: a file whose writer was killed is refused without its log, and is whole with it", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await killWriter(path);
  renameSync(`${path}-wal`, folder.file("kept"));
  const fault = await faultOf(openTokenStore({ path, log: silentLog }));
  expect([fault.code, fault.message]).toEqual(["STORE_CORRUPT", expect.stringContaining("tokens.db.open")]);
  // Nor does a reader take it for what it was then, or a copy.
  await using reader = await openTokenReader({ path });
  expect((await faultOf(reader.notBefore(labelOf(1)))).code).toBe("STORE_UNAVAILABLE");
  expect((await faultOf(copyStore({ path, writer: "tokens", to: folder.file("copy") }))).code).toBe("STORE_CORRUPT");
  expect(existsSync(`${path}-wal`)).toBe(false);
  renameSync(folder.file("kept"), `${path}-wal`);
  {
    await using store = await openTokenStore({ path, log: silentLog });
    await store.check();
  }
  // Closed in order it needs none.
  expect([existsSync(`${path}-wal`), existsSync(`${path}.open`)]).toEqual([false, false]);
  await using _store = await openTokenStore({ path, log: silentLog });
});

test("a backup that is put in the place of a file whose writer was killed needs no log", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await killWriter(path);
  new Database(path).prepare("VACUUM INTO ?").run(folder.file("backup.db"));
  for (const suffix of ["", "-wal", "-shm"]) renameSync(path + suffix, folder.file(`aside${suffix}`));
  renameSync(folder.file("backup.db"), path);
  await using store = await openTokenStore({ path, log: silentLog });
  await store.check();
});

test.each([
  ["its log", ["-wal"]],
  ["its log and the index of that", ["-wal", "-shm"]],
  ["the index of its log", ["-shm"]],
])(
  "6: nothing that was acknowledged is lost when %s is removed while in use, and readers see what comes after it",
  async (_what, suffixes) => {
    using folder = openTemporaryFolder();
    const path = folder.file("tokens.db");
    {
      await using store = await openTokenStore({ path, log: silentLog });
      await using reader = await openTokenReader({ path });
      await store.revoke(signedOrder("before", { label: labelOf(1), now: at(10) }));
      expect(await reader.notBefore(labelOf(1))).toEqual(at(11));
      for (const suffix of suffixes) rmSync(path + suffix);
      // Also while nobody writes, and the reader has looked again at what lies there.
      for (const found of await observeReads(() => reader.notBefore(labelOf(1)))) expect(found).toEqual(at(11));
      await store.revoke(signedOrder("after", { label: labelOf(2), now: at(20) }));
      await eventually(async () => expect(await reader.notBefore(labelOf(2))).toEqual(at(21)));
      expect(await reader.notBefore(labelOf(1))).toEqual(at(11));
      // Once more, with the reader on the new one.
      for (const suffix of suffixes) rmSync(path + suffix, { force: true });
      await store.revoke(signedOrder("later", { label: labelOf(3), now: at(30) }));
      await eventually(async () => expect(await reader.notBefore(labelOf(3))).toEqual(at(31)));
    }
    await using store = await openTokenStore({ path, log: silentLog });
    const found = await Promise.all([1, 2, 3].map((number) => store.notBefore(labelOf(number))));
    expect(found).toEqual([at(11), at(21), at(31)]);
  },
);
