import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeStellarSecret, parseIdentity } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSecretFile } from "./secret-file.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";
import { openStellarServer, readStellarAddress } from "./stellar-server.ts";

let dir = "";
let state: StateDirectory;
let time = new Date("2026-11-22T12:00:00Z");
const now = (): Date => time;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-stellar-"));
  state = openStateDirectory(join(dir, "state"), "private");
  time = new Date("2026-11-22T12:00:00Z");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const open = (secretFile?: string, env: Record<string, string> = {}) => openStellarServer({ state, secretFile, env, randomBytes });
const keyFile = (name: string): string => join(dir, "state", "keys", "stellar-server", name);
/** Puts a secret into a file of its own. Returns the path. */
function putSecret(text: string, mode = 0o600): string {
  const path = join(dir, "stellar");
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
  return path;
}

describe("the server's Stellar account", () => {
  it("is made once and kept; its address is one that can be signed for", () => {
    const { address } = open();
    expect(open()).toEqual({ address });
    expect(parseIdentity(address)).toMatchObject({ granted: true, value: { namespace: "stellar" } });
    expect(readFileSync(keyFile("secret"), "utf8")).toMatch(/^S[A-Z2-7]{55}\n$/);
    expect(statSync(keyFile("secret")).mode & 0o777).toBe(0o600);
  });

  it("in a shared directory publishes its address to the group, and keeps its secret to its owner", () => {
    chmodSync(state.path, 0o2770);
    state = openStateDirectory(state.path, "shared");
    open();
    expect(["secret", "address", "."].map((name) => (statSync(keyFile(name)).mode & 0o7777).toString(8))).toEqual(["600", "640", "2750"]);
  });

  it("is the one of the configured file, and its readers hear of it within a second", () => {
    const read = readStellarAddress(state, now);
    expect(read()).toBeUndefined();
    const made = open().address;
    time = new Date(time.getTime() + 1000);
    expect(read()).toBe(made);
    const { address } = open(putSecret(`${encodeStellarSecret(randomBytes(32))}\r\n`));
    expect(address).not.toBe(made);
    time = new Date(time.getTime() + 1000);
    expect(read()).toBe(address);
    writeFileSync(keyFile("address"), "G\n");
    time = new Date(time.getTime() + 1000);
    expect(read()).toBe(address);
  });

  it("refuses a file that holds no Stellar secret, and never shows what it holds", () => {
    const secret = encodeStellarSecret(randomBytes(32)).replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    expect(() => open(putSecret(secret))).toThrow("does not hold a Stellar secret");
    expect(() => open(putSecret(secret))).not.toThrow(secret);
  });
});

describe("a secret from outside", () => {
  it("is the content of a file, without the line end behind it", () => {
    expect(readSecretFile(putSecret("word \n"), {})).toBe("word ");
  });

  it("is a credential of systemd when the setting says so", () => {
    putSecret("word");
    expect(readSecretFile("credential:stellar", { CREDENTIALS_DIRECTORY: dir })).toBe("word");
    expect(() => readSecretFile("credential:stellar", {})).toThrow("LoadCredential=stellar:/path");
    expect(() => readSecretFile("credential:..", { CREDENTIALS_DIRECTORY: dir })).toThrow("LoadCredential");
  });

  it.each<readonly [string, () => string, string]>([
    ["is not there", () => join(dir, "nothing"), "is not there"],
    ["is empty", () => putSecret("\n"), "is empty"],
    ["is a directory", () => dir, "cannot be read (EISDIR)"],
    ["may be read by everybody", () => putSecret("word", 0o644), "(mode 644); run: chmod 600"],
  ])("is refused when it %s", (_name, make, why) => {
    expect(() => readSecretFile(make(), {})).toThrow(why);
  });
});
