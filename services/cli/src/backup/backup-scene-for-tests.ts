import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault, type Label, parseLabel } from "@keyhole/core";
import { openSessionStore, openTokenStore } from "@keyhole/store";
import { afterEach, beforeEach } from "vitest";
import { openStateDirectory } from "../state/state-directory.ts";
import { restoreBackup } from "./restore-backup.ts";
import { takeBackup } from "./take-backup.ts";

export const say = (): void => {};
const log = { debug: say, info: say, warn: say, error: say };
export const label = (number: number): Label => parseLabel(`0x${number.toString(16).padStart(40, "0")}`) as Label;
const early = new Date("2026-01-01T00:00:00Z");

export let dir: string;
export let stateDir: string;
export let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-backup-"));
  stateDir = join(dir, "state");
  file = join(dir, "one.backup");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

export const state = () => openStateDirectory(stateDir, "private");
export const openTokens = () => openTokenStore({ path: join(stateDir, "tokens.db"), log });
export const openSessions = () => openSessionStore({ path: join(stateDir, "sessions.db"), log });
export const take = (change: { withKeys?: boolean; isForced?: boolean } = {}) =>
  takeBackup({ state: state(), file, withKeys: false, isForced: false, version: "0.1.0", now: () => new Date(), progress: say, ...change });
export const restore = (at?: Date) =>
  restoreBackup({
    state: state(),
    file,
    windowSeconds: 300,
    signerOf: () => undefined,
    now: () => at ?? new Date(),
    pid: process.pid,
    log,
    progress: say,
  });

export async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => new Error("no fault"),
    (reason: unknown) => reason,
  );
  if (error instanceof Fault) return error;
  throw error;
}

/** What happened before the backup, and after it. */
export async function live(number: number): Promise<void> {
  state();
  await using tokens = await openTokens();
  const order = { label: label(number), kind: "hmac", provedAt: early, proofEndsAt: new Date(Date.now() + 600_000), keyId: "k" } as const;
  await tokens.orderToken({
    ...order,
    proofKey: `proof ${number}`,
    now: new Date(),
    ttlSeconds: 3600,
    isExclusive: false,
    repeat: undefined,
  });
  await tokens.revoke({ ...order, label: label(number + 100), proofKey: `revocation ${number}`, now: new Date() });
  await using sessions = await openSessions();
  await sessions.saveBlock(
    { subject: label(number), reason: "abuse", createdAt: early, endsAt: undefined },
    { at: early, event: "block.set", label: label(number), detail: {} },
  );
}

/** What must not be undone: what has been revoked, spent and blocked. */
export async function standing(): Promise<unknown> {
  await using tokens = await openTokens();
  await using sessions = await openSessions();
  const order = {
    label: label(1),
    kind: "hmac",
    provedAt: new Date(0),
    proofEndsAt: early,
    now: early,
    ttlSeconds: 60,
    keyId: "k",
  } as const;
  const spent = await Promise.all(
    [1, 2].map((number) => tokens.orderToken({ ...order, proofKey: `proof ${number}`, isExclusive: false, repeat: undefined })),
  );
  return {
    spent: spent.map(({ outcome }) => outcome),
    revoked: (await tokens.revocationsAfter(0, 10)).map((each) => each.label),
    blocked: (await sessions.blocks()).map(({ subject }) => subject),
  };
}

export const everything = {
  spent: ["proof-already-used", "proof-already-used"],
  revoked: [label(101), label(102)],
  blocked: [label(1), label(2)],
};
