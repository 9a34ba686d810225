import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Fault,
  type KeyRing,
  type Label,
  mintTicket,
  mintTunnelToken,
  parseLabel,
  publicKeyOfSeed,
  type ReadKeyRing,
  readTicket,
  readTunnelToken,
} from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCheckpointSigner } from "./audit-key.ts";
import { openKeyRing } from "./key-files.ts";
import { deriveOverlapMs, keyPurposes, listPurpose, retireKey, rotateKeys } from "./key-rotation.ts";
import { openSigningKeys, openVerifyKeys } from "./signing-keys.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";

const hour = 3_600_000;
let dir = "";
let state: StateDirectory;
let time = new Date("2026-11-22T12:00:00Z");
const now = (): Date => time;
const pass = (ms: number): void => {
  time = new Date(time.getTime() + ms);
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-rotation-"));
  state = openStateDirectory(dir, "private");
  time = new Date("2026-11-22T12:00:00Z");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const log = { warn: () => {} };
const openRing = (purpose: string, isShared: boolean): ReadKeyRing => openKeyRing({ state, purpose, isShared, now, randomBytes, log });
const rotate = (purpose: (typeof keyPurposes)[number], overlapMs = 25 * hour): string =>
  rotateKeys(state, { purpose, now: time, overlapMs, randomBytes });
const statesOf = (purpose: (typeof keyPurposes)[number]): string[] => listPurpose(state, purpose, time).map((key) => key.state);

const label = parseLabel(`0x${"5a".repeat(20)}`) as Label;
const wholeSecond = (): Date => new Date(Math.floor(time.getTime() / 1000) * 1000);

describe("the rotation of keys", () => {
  it("refuses no token: what is minted before, while and after it is made verifies, in every part, whenever that part looks", () => {
    const minting = openRing("token-hmac", true);
    const verifying = openRing("token-hmac", true);
    const tokens: string[] = [];
    const step = (): void => {
      const { keys } = minting();
      tokens.push(mintTunnelToken({ label, issuedAt: wholeSecond() }, keys[0]));
      for (const token of tokens) expect(readTunnelToken(token, verifying())).toMatchObject({ granted: true });
      const age = time.getTime() - Number(keys[0].id.slice(0, 13));
      if (keys.length > 1) expect(age).toBeGreaterThanOrEqual(5000);
    };
    for (let rotation = 0; rotation < 3; rotation += 1) {
      for (let at = 0; at < 20; at += 1) {
        step();
        pass(700);
      }
      rotate("token-hmac");
    }
    for (let at = 0; at < 20; at += 1) {
      step();
      pass(700);
    }
    expect(new Set(tokens).size).toBeGreaterThan(10);
  });

  it("of tokens ends with the overlap: what a retired key made is refused then, and its file goes with the next rotation", () => {
    const read = openRing("token-hmac", true);
    pass(10_000);
    const former = read().keys[0];
    const token = mintTunnelToken({ label, issuedAt: wholeSecond() }, former);
    rotate("token-hmac", hour);
    pass(hour - 1);
    expect(readTunnelToken(token, read())).toMatchObject({ granted: true });
    pass(1);
    expect(readTunnelToken(token, read())).toMatchObject({ granted: false, refusal: { code: "TOKEN_SIGNATURE" } });
    expect(statesOf("token-hmac")).toEqual(["mints", expect.stringMatching(/^ended 2026-/)]);
    rotate("token-hmac");
    expect(existsSync(join(dir, "keys", "token-hmac", `${former.id}.key`))).toBe(false);
    expect(existsSync(join(dir, "keys", "token-hmac", `${former.id}.retired`))).toBe(true);
  });

  it("refuses no ticket that is still good", () => {
    const read = openRing("ticket-hmac", false);
    const ticketOf = (ring: KeyRing) =>
      mintTicket(
        label,
        { generation: 1, issuedAt: wholeSecond(), endsAt: new Date(wholeSecond().getTime() + hour), kind: "hmac" },
        ring,
        randomBytes(16),
      );
    pass(10_000);
    const before = ticketOf(read());
    rotate("ticket-hmac", deriveOverlapMs("ticket-hmac", 86_400));
    pass(2000);
    const during = ticketOf(read());
    pass(10_000);
    const after = ticketOf(read());
    for (const ticket of [before, during, after]) expect(readTicket(label, ticket, read())).toBeDefined();
    pass(30 * 24 * hour);
    expect([before, during, after].map((ticket) => readTicket(label, ticket, read()) !== undefined)).toEqual([false, false, true]);
  });

  it("of signing keys publishes the new one before it mints, and both verify until the end of the former", () => {
    const signing = openSigningKeys({ state, now, randomBytes, log });
    const verifying = openVerifyKeys({ state, now, log });
    const former = signing.minting();
    pass(60_000);
    const fresh = rotate("token-jwt", hour);
    for (let at = 0; at < 8; at += 1) {
      pass(1000);
      expect(verifying().map(({ id }) => id)).toEqual([fresh, former.id]);
      expect(signing.minting().id).toBe(at < 4 ? former.id : fresh);
    }
    for (const { id, publicKey } of verifying())
      expect(publicKeyOfSeed(signing.byId(id)?.seed ?? new Uint8Array(32))).toEqual(new Uint8Array(publicKey));
    expect(signing.all().map(({ id }) => id)).toEqual([fresh, former.id]);
    pass(hour);
    expect([verifying().map(({ id }) => id), signing.byId(former.id)]).toEqual([[fresh], undefined]);
  });

  it("gives what it made as long as anything it made can be good", () => {
    expect(keyPurposes.map((purpose) => deriveOverlapMs(purpose, 600) / hour)).toEqual([25, 25, 720, 1 / 60, 1 / 60]);
    expect(keyPurposes.map((purpose) => deriveOverlapMs(purpose, 30 * 86_400) / hour)).toEqual([721, 721, 720, 1 / 60, 1 / 60]);
  });

  it("keeps modes: for the group in a shared directory where others read, for the owner alone where not", () => {
    chmodSync(dir, 0o2770);
    state = openStateDirectory(dir, "shared");
    openRing("token-hmac", true);
    openRing("ticket-hmac", false);
    openSigningKeys({ state, now, randomBytes, log });
    for (const writer of ["tokens", "sessions"] as const)
      openCheckpointSigner({ state, writer, signedWith: undefined, now, randomBytes, log });
    pass(10_000);
    for (const purpose of keyPurposes) rotate(purpose);
    const folders = [
      "token-hmac",
      "token-jwt",
      "token-jwt-public",
      "ticket-hmac",
      "audit-tokens",
      "audit-sessions",
      "audit-sessions-public",
    ];
    const modes = folders.map((folder) => {
      const path = join(dir, "keys", folder);
      const files = new Set(readdirSync(path).map((name) => (statSync(join(path, name)).mode & 0o777).toString(8)));
      return [folder, (statSync(path).mode & 0o7777).toString(8), ...files];
    });
    expect(modes).toEqual([
      ["token-hmac", "2770", "660"],
      ["token-jwt", "700", "600"],
      ["token-jwt-public", "2750", "640"],
      ["ticket-hmac", "700", "600"],
      ["audit-tokens", "700", "600"],
      ["audit-sessions", "700", "600"],
      ["audit-sessions-public", "2750", "640"],
    ]);
  });
});

describe("the retirement of a key", () => {
  const retire = (id: string, until: Date) => retireKey(state, { id, now: time, deriveUntil: () => until });

  it("never leaves a purpose without a key that mints", () => {
    const [only = ""] = openRing("token-hmac", true)().keys.map(({ id }) => id);
    pass(60_000);
    expect(() => retire(only, time)).toThrow("keyhole keys rotate token-hmac");
    const fresh = rotate("token-hmac");
    pass(4000);
    expect(() => retire(only, time)).toThrow("Try again in a few seconds");
    pass(1000);
    expect(retire(only, time).purpose).toBe("token-hmac");
    expect(() => retire(fresh, time)).toThrow("is the only key");
    expect(listPurpose(state, "token-hmac", time).map(({ id }) => id)).toEqual([fresh]);
  });

  it("ends a key at once when it is told to: within a second nothing that it made is accepted, and its secret is deleted", () => {
    const read = openRing("token-hmac", true);
    const verifying = openVerifyKeys({ state, now, log });
    const signing = openSigningKeys({ state, now, randomBytes, log });
    const formers = [read().keys[0].id, signing.minting().id];
    const token = mintTunnelToken({ label, issuedAt: wholeSecond() }, read().keys[0]);
    pass(60_000);
    rotate("token-hmac");
    rotate("token-jwt");
    pass(10_000);
    for (const id of formers) retire(id, time);
    pass(1000);
    expect(readTunnelToken(token, read())).toMatchObject({ granted: false, refusal: { code: "TOKEN_SIGNATURE" } });
    expect([verifying().length, signing.all().length]).toEqual([1, 1]);
    expect(readdirSync(join(dir, "keys", "token-jwt"))).toHaveLength(1);
  });

  it("never gives a key a later end than it has", () => {
    const [former = ""] = openRing("token-hmac", true)().keys.map(({ id }) => id);
    pass(60_000);
    rotate("token-hmac", hour);
    pass(10_000);
    const until = new Date(time.getTime() + hour - 10_000);
    expect(retire(former, new Date(time.getTime() + 25 * hour)).until).toEqual(until);
    expect(retire(former, new Date(time.getTime() + 60_000)).until).toEqual(new Date(time.getTime() + 60_000));
  });

  it("tells of an id that there is not, and where to see which there are", () => {
    openRing("token-hmac", true);
    expect(() => retire("1700000000000-00000000", time)).toThrow(Fault);
    expect(() => retire("../../etc/passwd", time)).toThrow("keyhole keys list");
  });
});

describe("the list of keys", () => {
  it("says of each what it does now", () => {
    openRing("token-hmac", true);
    pass(60_000);
    expect(statesOf("token-hmac")).toEqual(["mints"]);
    rotate("token-hmac", hour);
    pass(1000);
    expect(statesOf("token-hmac")).toEqual([
      "waits 4 s before it mints",
      "mints while its successor waits; verifies until 2026-11-22T13:01:00.000Z",
    ]);
    pass(10_000);
    expect(statesOf("token-hmac")).toEqual(["mints", "verifies until 2026-11-22T13:01:00.000Z"]);
    expect(listPurpose(state, "ticket-hmac", time)).toEqual([]);
  });

  it("needs no secret of a signing key: the public halves say it all", () => {
    openSigningKeys({ state, now, randomBytes, log });
    rmSync(join(dir, "keys", "token-jwt"), { recursive: true });
    expect(statesOf("token-jwt")).toEqual(["mints"]);
  });
});
