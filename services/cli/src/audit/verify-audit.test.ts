import { randomBytes } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EventEntry, EventWriter } from "@keyhole/core";
import { openEventReader, openSessionStore, openTokenStore } from "@keyhole/store";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeAudit, renderAudit } from "../commands/audit.ts";
import { openCheckpointSigner } from "../state/audit-key.ts";
import { retireKey, rotateKeys } from "../state/key-rotation.ts";
import { openStateDirectory } from "../state/state-directory.ts";
import { flawWords } from "./flaw-words.ts";
import { verifyAudit } from "./verify-audit.ts";

let dir = "";
let time = Date.parse("2026-11-22T12:00:00Z");
const now = (): Date => new Date(time);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-audit-"));
  time = Date.parse("2026-11-22T12:00:00Z");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const log = { debug() {}, info() {}, warn() {}, error() {} };
const path = (writer: EventWriter): string => join(dir, `${writer}.db`);

/** Writes events as the writer's process would, each call a process of its own. */
async function write(writer: EventWriter, entries: readonly Partial<EventEntry>[], signedWith?: string): Promise<void> {
  const state = openStateDirectory(dir, "private");
  const signer = openCheckpointSigner({ state, writer, signedWith, now, randomBytes, log });
  const open = writer === "tokens" ? openTokenStore : openSessionStore;
  await using store = await open({ path: path(writer), log, events: { signer, keepMs: 1e12, keepRows: 1e6 } });
  for (const entry of entries) {
    time += 1000;
    await store.saveEvents([{ at: now(), event: "refused", detail: {}, ...entry }]);
  }
}

/** Has one chain remember how far the other is. */
async function see(writer: EventWriter, other: EventWriter): Promise<void> {
  await using reader = openEventReader({ path: path(other), writer: other });
  const { head } = await reader.bounds();
  const detail = { writer: other, sequence: head?.sequence ?? 0, hash: Buffer.from(head?.hash ?? []).toString("hex") };
  await write(writer, [{ event: "checkpoint.seen", detail }]);
}

const five = [1, 2, 3, 4, 5].map((number) => ({ detail: { number } }));

async function flawsOf(): Promise<string[]> {
  const { chains, isClean } = await verifyAudit(dir, () => {});
  const flaws = chains.flatMap(({ writer, flaws: found }) => found.map(({ sequence, flaw }) => `${writer} ${sequence} ${flaw}`));
  expect(isClean).toBe(flaws.length === 0);
  return flaws;
}

function change(writer: EventWriter, sql: string): void {
  const db = new Database(path(writer));
  db.exec(sql);
  db.close();
}

it("finds nothing wrong where nothing is, says who signed from when to when, and takes nothing for something", async () => {
  expect(await verifyAudit(dir, () => {})).toEqual({ chains: [], isClean: true, isNothing: true });
  await write("tokens", five);
  await write("sessions", five);
  await see("tokens", "sessions");
  await see("sessions", "tokens");
  expect(await flawsOf()).toEqual([]);
  const report = await verifyAudit(dir, () => {});
  const screen = renderAudit(report).replaceAll(/\u001b\[[0-9;]*m/g, "");
  expect(screen).toMatch(/tokens\.db +6 events, 2026-11-22T12:00:01\.000Z to 2026-11-22T12:00:11\.000Z, signed by \d{13}-[0-9a-f]{8}\n/);
  expect(screen).toContain("No event was altered, dropped or moved.");
  expect(describeAudit(report)).toMatchObject({
    isClean: true,
    chains: [{ writer: "tokens", rows: 6, end: { sequence: 6 } }, { writer: "sessions" }],
  });
});

it("finds a byte that was flipped in the file itself, a row that is gone, and two that were swapped, each with what to do", async () => {
  await write("tokens", five);
  change("tokens", "PRAGMA wal_checkpoint(TRUNCATE)");
  const good = readFileSync(path("tokens"));
  const flipped = Buffer.from(good);
  const at = flipped.indexOf('{"number":3}') + 10;
  flipped[at] = (flipped[at] ?? 0) ^ 1;
  writeFileSync(path("tokens"), flipped);
  expect(await flawsOf()).toEqual(["tokens 3 altered"]);
  const screen = renderAudit(await verifyAudit(dir, () => {}));
  expect(screen).toContain(flawWords.altered.remedy);
  expect(screen).toContain("The history cannot be believed as it is.");
  writeFileSync(path("tokens"), good);
  change("tokens", "DELETE FROM events WHERE sequence = 2");
  expect(await flawsOf()).toEqual(["tokens 2 missing"]);
  writeFileSync(path("tokens"), good);
  change(
    "tokens",
    "UPDATE events SET sequence = 9 WHERE sequence = 1; UPDATE events SET sequence = 1 WHERE sequence = 2; UPDATE events SET sequence = 2 WHERE sequence = 9",
  );
  expect(await flawsOf()).toContain("tokens 1 altered");
});

it("finds a whole file that was put back as it was earlier, also when its writer has gone on from there", async () => {
  await write("tokens", five);
  await write("sessions", five);
  change("sessions", "PRAGMA wal_checkpoint(TRUNCATE)");
  copyFileSync(path("sessions"), join(dir, "older"));
  await write("sessions", [{ detail: { what: "somebody wants forgotten" } }]);
  await see("tokens", "sessions");
  expect(await flawsOf()).toEqual([]);
  for (const suffix of ["-wal", "-shm"]) rmSync(path("sessions") + suffix, { force: true });
  copyFileSync(join(dir, "older"), path("sessions"));
  expect(await flawsOf()).toEqual(["sessions 6 rolled-back"]);
  await write("sessions", five);
  expect(await flawsOf()).toEqual(["sessions 6 replaced"]);
});

it("finds a file that is gone altogether, and one that cannot be read, and goes over the other all the same", async () => {
  await write("tokens", five);
  await write("sessions", five);
  await see("tokens", "sessions");
  const good = readFileSync(path("sessions"));
  rmSync(path("sessions"));
  expect(await flawsOf()).toEqual(["sessions 5 rolled-back"]);
  writeFileSync(path("sessions"), Buffer.concat([Buffer.from("no database at all"), good.subarray(18)]));
  expect(await flawsOf()).toEqual(["sessions 0 unreadable"]);
});

it("6: a backup that was put in place in order tells so itself, and what came between is no flaw", async () => {
  await write("tokens", five);
  await write("sessions", five);
  change("sessions", "PRAGMA wal_checkpoint(TRUNCATE)");
  copyFileSync(path("sessions"), join(dir, "backup"));
  await write("sessions", five);
  await see("tokens", "sessions");
  for (const suffix of ["-wal", "-shm"]) rmSync(path("sessions") + suffix, { force: true });
  copyFileSync(join(dir, "backup"), path("sessions"));
  await write("sessions", [{ event: "store.restored" }]);
  expect(await flawsOf()).toEqual([]);
  expect(renderAudit(await verifyAudit(dir, () => {}))).toContain("a backup was put in place 2026-11-22T12:00:");
});

it("verifies what a key before this one signed, and finds what a key signed after its end", async () => {
  await write("tokens", five);
  const state = openStateDirectory(dir, "private");
  time += 10_000;
  rotateKeys(state, { purpose: "audit-tokens", now: now(), overlapMs: 60_000, randomBytes });
  time += 120_000;
  await write("tokens", five);
  expect(await flawsOf()).toEqual([]);
  const [chain] = (await verifyAudit(dir, () => {})).chains;
  expect(chain?.head?.keyId).not.toBe(chain?.base?.keyId);
  // Whoever has stolen the key that signs now goes on with it after it was retired.
  time += 10_000;
  rotateKeys(state, { purpose: "audit-tokens", now: now(), overlapMs: 60_000, randomBytes });
  time += 10_000;
  expect(await flawsOf()).toEqual([]);
  retireKey(state, { id: chain?.head?.keyId ?? "", now: now(), deriveUntil: () => new Date(time - 600_000) });
  expect(await flawsOf()).toEqual(["tokens 10 key-ended"]);
});

it("needs the public halves: without any it says what to put back, without one that its signature is unknown", async () => {
  await write("tokens", five);
  rmSync(join(dir, "keys"), { recursive: true });
  await expect(verifyAudit(dir, () => {})).rejects.toThrow(/audit-tokens-public holds no key.*Put the folder back from a backup/);
  rotateKeysAnew();
  expect(await flawsOf()).toEqual(["tokens 0 unknown-key", "tokens 5 unknown-key"]);
});

function rotateKeysAnew(): void {
  openCheckpointSigner({ state: openStateDirectory(dir, "private"), writer: "tokens", signedWith: undefined, now, randomBytes, log });
}
