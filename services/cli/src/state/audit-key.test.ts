import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CheckpointSigner, EventWriter } from "@keyhole/core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openCheckpointSigner, openCheckpointVerifier } from "./audit-key.ts";
import { listPurpose, retireKey, rotateKeys } from "./key-rotation.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";

let dir = "";
let state: StateDirectory;
let time = new Date("2026-11-22T12:00:00Z");
const now = (): Date => time;
const pass = (ms: number): void => {
  time = new Date(time.getTime() + ms);
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-audit-key-"));
  state = openStateDirectory(dir, "private");
  time = new Date("2026-11-22T12:00:00Z");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const log = { warn: () => {} };
const open = (writer: EventWriter = "tokens", signedWith?: string): CheckpointSigner =>
  openCheckpointSigner({ state, writer, signedWith, now, randomBytes, log });
const rotate = (): string => rotateKeys(state, { purpose: "audit-tokens", now: time, overlapMs: 60_000, randomBytes });
const text = Buffer.from("what the chain has come to");
const sign = (signer: CheckpointSigner): readonly [string, Uint8Array] => {
  const signature = signer.sign(text);
  return [signer.keyId, signature];
};

it("each writer signs with a key of its own, and is verified with nobody else's", () => {
  const [id, signature] = sign(open("tokens"));
  const [other, theirs] = sign(open("sessions"));
  const { verify } = openCheckpointVerifier(dir, "tokens");
  expect(verify(id, text, signature)).toBe(true);
  expect(verify(id, Buffer.from("something else"), signature)).toBe(false);
  expect(verify(id, text, theirs)).toBe(false);
  expect(verify(other, text, theirs)).toBeUndefined();
  const folders = { "audit-tokens": 0o700, "audit-tokens-public": 0o700 };
  for (const [folder, mode] of Object.entries(folders)) expect(statSync(join(dir, "keys", folder)).mode & 0o777).toBe(mode);
  expect(sign(open("tokens", id))[0]).toBe(id);
});

it("a rotation needs no restart, and what was signed with any key before it verifies for ever", () => {
  const signer = open();
  const signatures = [sign(signer)];
  for (let rotation = 0; rotation < 3; rotation += 1) {
    pass(86_400_000);
    const fresh = rotate();
    pass(2000);
    signatures.push(sign(signer));
    expect(signatures.at(-1)?.[0]).not.toBe(fresh);
    pass(4000);
    signatures.push(sign(signer));
    expect(signatures.at(-1)?.[0]).toBe(fresh);
  }
  const { verify, endOf, count } = openCheckpointVerifier(dir, "tokens");
  expect(count).toBe(4);
  expect(new Set(signatures.map(([id]) => id)).size).toBe(4);
  for (const [id, signature] of signatures) expect(verify(id, text, signature)).toBe(true);
  expect(endOf(signer.keyId)).toBeUndefined();
  expect(endOf(signatures[0]?.[0] ?? "")).toEqual(new Date("2026-11-23T12:01:00Z"));
  // The seeds of keys that have ended are gone, their public halves are not.
  expect(readdirSync(join(dir, "keys", "audit-tokens")).length).toBeLessThan(4);
  expect(listPurpose(state, "audit-tokens", time).map((key) => key.state.replace(/ 2026.*/, ""))).toEqual([
    "signs",
    "verifies until",
    "signed until",
    "signed until",
  ]);
});

it("a key that is retired at once has no seed any more, and its end is known", () => {
  const signer = open();
  const [id, signature] = sign(signer);
  pass(10_000);
  rotate();
  pass(6000);
  retireKey(state, { id, now: time, deriveUntil: () => time });
  expect(existsSync(join(dir, "keys", "audit-tokens", `${id}.key`))).toBe(false);
  const { verify, endOf } = openCheckpointVerifier(dir, "tokens");
  expect(verify(id, text, signature)).toBe(true);
  expect(endOf(id)).toEqual(time);
  expect(sign(signer)[0]).not.toBe(id);
});

it("a key that is gone is a fault at start that says what to do, and that helps; nothing is made in its place unseen", () => {
  const [id] = sign(open());
  rmSync(join(dir, "keys", "audit-tokens", `${id}.key`));
  expect(() => open()).toThrow(/holds no key.*Put it back from a backup.*keyhole keys rotate audit-tokens/);
  pass(1000);
  const fresh = rotate();
  expect(sign(open("tokens", id))[0]).toBe(fresh);
  rmSync(join(dir, "keys"), { recursive: true });
  expect(() => open("tokens", fresh)).toThrow("tokens.db was signed with one");
  const again = rotate();
  expect(sign(open("tokens", fresh))[0]).toBe(again);
});

it("a key that is broken, or open to everybody, is a fault at start; while it runs it signs on with what it has", () => {
  const signer = open();
  const [id] = sign(signer);
  const file = join(dir, "keys", "audit-tokens", `${id}.key`);
  pass(5000);
  writeFileSync(file, "rubbish\n");
  expect(sign(signer)[0]).toBe(id);
  expect(() => open("tokens", id)).toThrow("does not hold 32 bytes in base64url");
  rmSync(join(dir, "keys"), { recursive: true });
  pass(5000);
  expect(sign(signer)[0]).toBe(id);
});
