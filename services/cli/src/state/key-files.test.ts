import { randomBytes } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openKeyRing } from "./key-files.ts";
import { openSigningKeys, openVerifyKeys } from "./signing-keys.ts";
import { openStateDirectory } from "./state-directory.ts";

let dir = "";
let time = new Date("2026-11-22T12:00:00Z");
let warnings: string[] = [];
const now = (): Date => time;
const pass = (ms: number): void => {
  time = new Date(time.getTime() + ms);
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-keys-"));
  time = new Date("2026-11-22T12:00:00Z");
  warnings = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const log = { warn: (_fields: object, message: string) => void warnings.push(message) };
const open = (isShared = true) =>
  openKeyRing({ state: openStateDirectory(dir, "private"), purpose: "ring", isShared, now, randomBytes, log });
const ringFile = (name: string): string => join(dir, "keys", "ring", name);
const keyFile = (): string => ringFile(readdirSync(join(dir, "keys", "ring")).find((name) => name.endsWith(".key")) ?? "");
const modeOf = (path: string): number => statSync(path).mode & 0o7777;
/** Puts a key there that was made then. Returns its id. */
function putKey(madeAt: Date, content = `${randomBytes(32).toString("base64url")}\n`): string {
  const id = `${madeAt.getTime()}-${randomBytes(4).toString("hex")}`;
  writeFileSync(ringFile(`${id}.key`), content, { mode: 0o600 });
  return id;
}
const retire = (id: string, until: Date): void => writeFileSync(ringFile(`${id}.retired`), `${until.toISOString()}\n`, { mode: 0o600 });
const idsOf = (read: ReturnType<typeof open>): string[] => read().keys.map(({ id }) => id);

describe("key rings", () => {
  it("6: make one key the first time and give the same one ever after", () => {
    const first = open()();
    const again = open()();
    expect(again).toEqual(first);
    expect(first.keys[0].secret).toHaveLength(32);
    expect([modeOf(join(dir, "keys")), modeOf(ringFile(".")), modeOf(keyFile())]).toEqual([0o700, 0o700, 0o600]);
    expect(readdirSync(join(dir, "keys"))).toEqual(["ring"]);
  });

  it("in a shared directory are for the group only where other parts read them", () => {
    chmodSync(dir, 0o2770);
    open(true);
    expect(modeOf(keyFile())).toBe(0o660);
    rmSync(join(dir, "keys"), { recursive: true });
    open(false);
    expect([modeOf(keyFile()), modeOf(ringFile("."))]).toEqual([0o600, 0o700]);
  });

  it("take up a new key without a restart: it verifies at once, and mints after five seconds, when everybody has read it", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(60_000);
    const fresh = putKey(time);
    pass(1000);
    expect(idsOf(read)).toEqual([old, fresh]);
    pass(3999);
    expect(idsOf(read)).toEqual([old, fresh]);
    pass(1);
    expect(idsOf(read)).toEqual([fresh, old]);
  });

  it("mint with the oldest while none has been there for five seconds", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(1000);
    const fresh = putKey(time);
    pass(1000);
    expect(idsOf(read)).toEqual([old, fresh]);
  });

  it("let a retired key verify until its end, and then know it no more", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(60_000);
    const fresh = putKey(time);
    pass(10_000);
    retire(old, new Date(time.getTime() + 60_000));
    pass(59_999);
    expect(idsOf(read)).toEqual([fresh, old]);
    pass(1);
    expect(idsOf(read)).toEqual([fresh]);
    expect(idsOf(open())).toEqual([fresh]);
    expect(warnings).toEqual([]);
  });

  it("do not mint with a retired key, newer though it is", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(60_000);
    const fresh = putKey(time);
    retire(fresh, new Date(time.getTime() + 600_000));
    pass(60_000);
    expect(idsOf(read)).toEqual([old, fresh]);
  });

  it("let the key that was retired for its successor mint while that one waits", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(60_000);
    const fresh = putKey(time);
    retire(old, new Date(time.getTime() + 600_000));
    pass(1000);
    expect(idsOf(read)).toEqual([old, fresh]);
    pass(4000);
    expect(idsOf(read)).toEqual([fresh, old]);
  });

  it("keep what is good when a file appears that cannot be read, say so once, and take it when it is mended", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(60_000);
    const broken = putKey(time, "abc");
    const exposed = putKey(time);
    chmodSync(ringFile(`${exposed}.key`), 0o644);
    mkdirSync(ringFile(`${time.getTime()}-00000000.key`));
    for (let look = 0; look < 3; look += 1) {
      pass(10_000);
      expect(idsOf(read)).toEqual([old]);
    }
    expect(warnings.map((text) => /does not hold 32 bytes|may be read by everybody|is a directory/.exec(text)?.[0]).sort()).toEqual([
      "does not hold 32 bytes",
      "is a directory",
      "may be read by everybody",
    ]);
    rmSync(ringFile(`${broken}.key`));
    chmodSync(ringFile(`${exposed}.key`), 0o600);
    pass(1000);
    expect(idsOf(read)).toEqual([exposed, old]);
  });

  it("keep a key that they have read when its file is spoiled, and drop one whose file is deleted", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(60_000);
    const fresh = putKey(time);
    pass(10_000);
    expect(idsOf(read)).toEqual([fresh, old]);
    rmSync(ringFile(`${old}.key`));
    writeFileSync(ringFile("spoiled"), "", { mode: 0o600 });
    renameSync(ringFile("spoiled"), ringFile(`${fresh}.key`));
    pass(1000);
    expect(idsOf(read)).toEqual([fresh]);
    expect(warnings).toHaveLength(1);
  });

  it("hold a key for retired whose mark says no time, so that it mints no more, and say so", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    pass(60_000);
    const fresh = putKey(time);
    writeFileSync(ringFile(`${fresh}.retired`), "soon", { mode: 0o600 });
    pass(60_000);
    expect(idsOf(read)).toEqual([old, fresh]);
    expect(warnings.join()).toContain("does not hold an instant");
    expect(() => open()).toThrow("does not hold an instant");
  });

  it("that were empty at the start are there as soon as another part has made its first key", () => {
    const state = openStateDirectory(dir, "private");
    const published = openVerifyKeys({ state, now, log });
    expect(published()).toEqual([]);
    const { id } = openSigningKeys({ state, now, randomBytes, log }).minting();
    expect(published().map((key) => key.id)).toEqual([id]);
  });

  it("say what to do when no key is left", () => {
    const read = open();
    const [old = ""] = idsOf(read);
    retire(old, time);
    pass(1000);
    expect(read).toThrow("keyhole keys rotate ring");
    expect(() => open()).toThrow("keyhole keys rotate ring");
  });

  it("make a new first key after the keys were deleted, though marks of them are left; a key that a backup brings back stays dead", () => {
    const [old = ""] = idsOf(open());
    const backup = readFileSync(keyFile());
    retire(old, time);
    rmSync(keyFile());
    pass(10_000);
    const [fresh = ""] = idsOf(open());
    expect(fresh).not.toBe(old);
    writeFileSync(ringFile(`${old}.key`), backup, { mode: 0o600 });
    expect(idsOf(open())).toEqual([fresh]);
  });

  it.each<readonly [string, () => void, string]>([
    ["is readable by everybody", () => chmodSync(keyFile(), 0o644), "(mode 644); run: chmod 600"],
    ["is cut short", () => writeFileSync(keyFile(), "abc"), "does not hold 32 bytes"],
    ["is empty", () => writeFileSync(keyFile(), ""), "does not hold 32 bytes"],
    ["has something behind it", () => writeFileSync(keyFile(), `${"A".repeat(43)} #`), "does not hold 32 bytes"],
    [
      "is a symbolic link",
      () => {
        renameSync(keyFile(), join(dir, "elsewhere"));
        symlinkSync(join(dir, "elsewhere"), ringFile("1700000000000-0badcafe.key"));
      },
      "is a symbolic link",
    ],
  ])("refuse a key that %s, with what to do", (_name, spoil, remedy) => {
    open();
    spoil();
    expect(() => open()).toThrow(remedy);
  });

  it("take a key with or without a line end behind it", () => {
    const first = open()();
    writeFileSync(keyFile(), readFileSync(keyFile(), "utf8").trim());
    expect(open()()).toEqual(first);
  });
});
