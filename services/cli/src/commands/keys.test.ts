import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openKeyRing } from "../state/key-files.ts";
import { openSigningKeys } from "../state/signing-keys.ts";
import { openStateDirectory } from "../state/state-directory.ts";
import { type KeysContext, listKeysOfAll, parseOverlap, retireKeyOf, rotateKeysOf } from "./keys.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
let dir = "";
let time = new Date("2026-11-22T12:00:00Z");
let printed = "";
const now = (): Date => time;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-keys-command-"));
  time = new Date("2026-11-22T12:00:00Z");
  printed = "";
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const stateDir = (): string => join(dir, "state");
const context = (ttlSeconds = 86_400): KeysContext => ({
  config: { stateDir: stateDir(), "token.ttlSeconds": ttlSeconds },
  world: { now, randomBytes },
  print: (text) => {
    printed += text;
  },
});
/** Makes the first keys as the parts do. */
function makeKeys(): void {
  const state = openStateDirectory(stateDir(), "private");
  const log = { warn: () => {} };
  openKeyRing({ state, purpose: "token-hmac", isShared: true, now, randomBytes, log });
  openKeyRing({ state, purpose: "ticket-hmac", isShared: false, now, randomBytes, log });
  openSigningKeys({ state, now, randomBytes, log });
}
type Row = {
  readonly purpose: string;
  readonly id: string;
  readonly made: string;
  readonly state: string;
  readonly retiredUntil: string | null;
};
function list(): readonly Row[] {
  printed = "";
  expect(listKeysOfAll(context(), { json: true })).toBe(0);
  return (JSON.parse(printed) as { keys: readonly Row[] }).keys;
}
const secretsIn = (folder: string): string[] =>
  readdirSync(join(stateDir(), "keys", folder)).map((name) => readFileSync(join(stateDir(), "keys", folder, name), "utf8").trim());

describe("keyhole keys", () => {
  it("list tells purpose, id, since when and what each does, for people and for programs", () => {
    makeKeys();
    expect(list().map(({ purpose, made, state, retiredUntil }) => [purpose, made, state, retiredUntil])).toEqual(
      ["token-hmac", "token-jwt", "ticket-hmac"].map((purpose) => [purpose, "2026-11-22T12:00:00.000Z", "mints", null]),
    );
    printed = "";
    listKeysOfAll(context(), {});
    expect(printed.split("\n")[0]).toMatch(/^token-hmac {5}\d{13}-[0-9a-f]{8} {2}made 2026-11-22T12:00:00.000Z {2}mints$/);
  });

  it("rotate makes a new key for each purpose, and lets those before it verify as long as what they made can be good", () => {
    makeKeys();
    time = new Date(time.getTime() + 60_000);
    rotateKeysOf(context(30 * 86_400), undefined, {});
    time = new Date(time.getTime() + 5000);
    expect(list().map(({ purpose, state }) => `${purpose} ${state}`)).toEqual([
      "token-hmac mints",
      "token-hmac verifies until 2026-12-22T13:01:00.000Z",
      "token-jwt mints",
      "token-jwt verifies until 2026-12-22T13:01:00.000Z",
      "ticket-hmac mints",
      "ticket-hmac verifies until 2026-12-22T12:01:00.000Z",
    ]);
  });

  it("rotate takes one purpose, and another overlap", () => {
    makeKeys();
    time = new Date(time.getTime() + 60_000);
    rotateKeysOf(context(), "token-jwt", { overlap: parseOverlap("90m") });
    expect(printed).toContain("is good for longer than that, and will be refused");
    expect(list().map(({ purpose, retiredUntil }) => [purpose, retiredUntil])).toEqual([
      ["token-hmac", null],
      ["token-jwt", null],
      ["token-jwt", "2026-11-22T13:31:00.000Z"],
      ["ticket-hmac", null],
    ]);
  });

  it("retire takes an id: the key verifies to its end, or with --now is deleted, and it is said who is still in", async () => {
    makeKeys();
    time = new Date(time.getTime() + 60_000);
    const ids = list().map(({ id }) => id);
    rotateKeysOf(context(), undefined, {});
    time = new Date(time.getTime() + 10_000);
    await retireKeyOf(context(), ids[0] ?? "", { now: true });
    expect(printed).toContain("is deleted");
    expect(printed).toContain("the plugin is not running: sessions that this key let in before go on");
    await retireKeyOf(context(), ids[2] ?? "", {});
    expect(
      list()
        .filter(({ id }) => ids.includes(id))
        .map(({ purpose }) => purpose),
    ).toEqual(["token-jwt", "ticket-hmac"]);
  });

  it("9: prints nothing secret, whatever it does", () => {
    makeKeys();
    time = new Date(time.getTime() + 60_000);
    rotateKeysOf(context(), undefined, {});
    listKeysOfAll(context(), {});
    listKeysOfAll(context(), { json: true });
    for (const folder of ["token-hmac", "token-jwt", "ticket-hmac"])
      for (const secret of secretsIn(folder).filter((text) => !text.startsWith("2026"))) expect(printed).not.toContain(secret);
  });

  it("makes no state directory where there is none, and no keys that a part has not begun with", () => {
    expect(() => listKeysOfAll(context(), {})).toThrow("--config");
    expect(existsSync(stateDir())).toBe(false);
    openStateDirectory(stateDir(), "private");
    listKeysOfAll(context(), {});
    rotateKeysOf(context(), undefined, {});
    expect(printed.match(/There are no keys yet/g)).toHaveLength(2);
    expect(() => rotateKeysOf(context(), "token-jwt", {})).toThrow("has no keys yet");
    expect(existsSync(join(stateDir(), "keys"))).toBe(false);
  });

  it.each(["", "24", "0h", "-1h", "1.5h", "9s", "367d", "1 h", "h", "24H", "99999999d"])(
    "refuses the overlap %j, with what it may be",
    (text) => {
      expect(() => parseOverlap(text)).toThrow("such as 90m, 24h or 30d");
    },
  );

  it.each([
    ["10s", 10_000],
    ["90m", 5_400_000],
    ["24h", 86_400_000],
    ["30d", 2_592_000_000],
  ])("takes the overlap %s", (text, ms) => {
    expect(parseOverlap(text)).toBe(ms);
  });
});

describe("the command line of keys", () => {
  const run = (args: readonly string[], user: { readonly uid?: number; readonly gid?: number } = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "keys", ...args, "--config", join(dir, "keyhole.toml")], {
      cwd: "/",
      env: { PATH: process.env.PATH },
      encoding: "utf8",
      ...user,
    });
    return { status, stdout, stderr };
  };
  beforeEach(() => {
    time = new Date();
    chmodSync(dir, 0o755);
    writeFileSync(join(dir, "keyhole.toml"), 'stateDir = "state"\n');
  });

  it("tells wrong usage with code 2, what cannot be done with 1, and what is wrong with its remedy", () => {
    makeKeys();
    const id = list()[0]?.id ?? "";
    const outcomes = [["rotate", "cookies"], ["rotate", "--overlap", "soon"], ["retire"], ["retire", "1-2"], ["retire", id], ["list"]].map(
      (args) => run(args),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([2, 2, 2, 1, 1, 0]);
    const words = [
      "token-hmac, token-jwt, ticket-hmac",
      "keyhole keys retire <id> --now",
      "missing required argument",
      "KEY_UNKNOWN: There is no key 1-2",
      "KEY_IN_USE",
    ];
    for (const [at, word] of words.entries()) expect(outcomes[at]?.stderr).toContain(word);
  });

  it("changes nothing for a user who may not write everywhere, and root's keys belong to whom the folder belongs", () => {
    makeKeys();
    // Other users where the tests run as root and the checkout is open to them; else all are the one that there is.
    const stranger = { uid: 64_012, gid: 64_010 };
    const isSplit = process.getuid?.() === 0 && spawnSync(process.execPath, [main, "--version"], { cwd: "/", ...stranger }).status === 0;
    const owner = isSplit ? 64_011 : (process.getuid?.() ?? 0);
    const keysDir = join(stateDir(), "keys");
    if (isSplit) spawnSync("chown", ["-R", `${owner}:${stranger.gid}`, stateDir()]);
    spawnSync("chmod", ["2770", stateDir(), keysDir, join(keysDir, "token-hmac")]);
    expect(run(["rotate"]).status).toBe(0);
    const files = readdirSync(keysDir, { recursive: true, encoding: "utf8" });
    expect(new Set(files.map((name) => statSync(join(keysDir, name)).uid))).toEqual(new Set([owner]));
    if (!isSplit) return;
    const [refused, listed] = [run(["rotate"], stranger), run(["list"], stranger)];
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/belongs to user 64011.*Nothing was changed/)]);
    expect(readdirSync(keysDir, { recursive: true })).toEqual(files);
    expect([listed.status, listed.stdout]).toEqual([1, expect.stringMatching(/^token-hmac [\s\S]*! ticket-hmac: .*user 64011/)]);
    expect(run(["rotate", "token-hmac"], stranger).status).toBe(0);
  });
});
