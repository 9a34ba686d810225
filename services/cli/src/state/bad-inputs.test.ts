import { createHash, randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Fault } from "@keyhole/core";
import { deriveFrpsConfig, FrpFault, type FrpsSettings, locateBinaries, renderFrpsConfig } from "@keyhole/frp";
import { openTokenStore } from "@keyhole/store";
import { startSupervisor } from "@keyhole/supervisor";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { badInputs, runIn } from "../bad-inputs-for-tests.ts";
import type { Log } from "../log.ts";
import { openKeyRing } from "./key-files.ts";
import { openStateDirectory } from "./state-directory.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-bad-inputs-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the command line beside the test's files. */
const run = (args: readonly string[], env?: Readonly<Record<string, string>>) => runIn(dir, args, env);
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const frpsSettings: FrpsSettings = {
  bindPort: 20_001,
  vhostHttpPort: 20_002,
  vhostHttpTimeoutSeconds: 60,
  dashboardPort: 20_003,
  dashboardUser: "keyhole",
  dashboardPassword: "dashboard",
  hookPort: 20_004,
  hookUser: "frps",
  hookPassword: "hook",
};
/** Supervises a program that stands in for frps and writes its environment into a file of this name. Returns that text and frps.toml. */
async function superviseOnce(): Promise<readonly [string, string]> {
  const path = join(dir, "frps");
  writeFileSync(
    path,
    `#!/bin/sh\n[ "$1" = verify ] && exit 0\n/usr/bin/env > '${dir}/env.new'\n/bin/mv '${dir}/env.new' '${dir}/env'\nexec /bin/sleep 60\n`,
  );
  chmodSync(path, 0o755);
  const supervisor = await startSupervisor({
    frps: { path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") },
    settings: frpsSettings,
    stateDir: dir,
    stopGraceMs: 200,
    now: () => new Date(),
    log: silent,
  });
  try {
    await vi.waitUntil(() => readdirSync(dir).includes("env"), { timeout: 10_000 });
  } finally {
    await supervisor.stop();
  }
  return [readFileSync(join(dir, "env"), "utf8"), readFileSync(join(dir, "frps.toml"), "utf8")];
}

/** How each entry is tried. Where DESIGN.md supersedes what the corpus expects, the reason stands here. */
const tries: Readonly<Record<string, () => Promise<void> | void>> = {
  // One owner cannot be demanded in a directory for a group: there the mode decides. A missing key is made (6).
  d03: () => {
    const state = openStateDirectory(join(dir, "state"), "private");
    const open = () =>
      openKeyRing({ state, purpose: "token-hmac", isShared: true, now: () => new Date(), randomBytes, log: silent })().keys.map(
        ({ id }) => id,
      );
    const [id = ""] = open();
    const folder = join(dir, "state", "keys", "token-hmac");
    const file = join(folder, `${id}.key`);
    const secret = readFileSync(file, "utf8");
    writeFileSync(file, secret.trim());
    expect(open()).toEqual([id]);
    writeFileSync(file, `${secret}\n`);
    expect(open()).toEqual([id]);
    const refused = (spoil: () => void): string => {
      spoil();
      try {
        open();
        return "";
      } catch (fault) {
        return `${(fault as Fault).code} ${(fault as Fault).message}`;
      } finally {
        rmSync(file, { recursive: true, force: true });
        writeFileSync(file, secret, { mode: 0o600 });
      }
    };
    expect(refused(() => chmodSync(file, 0o644))).toBe(
      `KEYS_UNREADABLE ${file} may be read by everybody (mode 644); run: chmod 600 ${file}`,
    );
    expect(refused(() => writeFileSync(file, ""))).toContain(`${file} does not hold 32 bytes`);
    const link = () => {
      renameSync(file, join(dir, "elsewhere"));
      symlinkSync(join(dir, "elsewhere"), file);
    };
    expect(refused(link)).toContain(`${file} is a symbolic link`);
    const directory = () => {
      rmSync(file);
      mkdirSync(file);
    };
    expect(refused(directory)).toContain(`${file} is a directory`);
    // On the command line that is code 78: no restart mends it.
    chmodSync(file, 0o644);
    writeFileSync(join(dir, "keyhole.toml"), `stateDir = "state"\ntoken.listen = "127.0.0.1:0"\nmetrics.listen = "127.0.0.1:0"\n`);
    mkdirSync(join(dir, "state", "control"), { mode: 0o700 });
    writeFileSync(join(dir, "state", "control", "ca.pem"), "a CA", { mode: 0o600 });
    const { status, stderr } = run(["token", "--log-level", "silent"]);
    expect([status, stderr]).toEqual([78, expect.stringContaining(file)]);
    rmSync(file);
    expect(open()).not.toEqual([id]);
  },
  // Not a range: exactly the pinned version runs (8), and anything else is a fault that says which is needed.
  d15: async () => {
    const path = join(dir, "frps");
    for (const version of ["0.60.0", "0.72.0"]) {
      writeFileSync(path, `#!/bin/sh\necho ${version}\n`);
      chmodSync(path, 0o755);
      const failure = await locateBinaries({ cacheDir: dir, env: { FRPS_BIN: path, FRPC_BIN: path } }).catch(
        (fault: unknown) => fault as FrpFault,
      );
      expect(failure).toBeInstanceOf(FrpFault);
      expect(failure).toMatchObject({ code: "FRP_BINARY_VERSION", message: expect.stringMatching(/Exactly \d+\.\d+\.\d+ is needed/) });
    }
  },
  // Rendered anew before every start: what a hand has written there never runs.
  d17: async () => {
    writeFileSync(join(dir, "frps.toml"), 'bindAddr = "0.0.0.0"\n', { mode: 0o600 });
    const [, text] = await superviseOnce();
    expect(text).toBe(renderFrpsConfig(deriveFrpsConfig(frpsSettings)));
  },
  // A file system of the network or a full disk cannot be made here; they come as the same fault. Code 78 only where no
  // restart helps: a disk may be free again.
  d19: async () => {
    const failureOf = async (path: string): Promise<string> => {
      try {
        await (await openTokenStore({ path, log: silent }))[Symbol.asyncDispose]();
        return "";
      } catch (fault) {
        return `${(fault as Fault).code} ${(fault as Fault).message}`;
      }
    };
    const path = join(dir, "tokens.db");
    expect(await failureOf(path)).toBe("");
    const newer = new DatabaseSync(path);
    const version = Number(newer.prepare("PRAGMA user_version").get()?.["user_version"]) + 1;
    newer.exec(`INSERT INTO migrations VALUES (${version}, '${version}-from-the-future.sql'); PRAGMA user_version = ${version}`);
    newer.close();
    expect(await failureOf(path)).toMatch(
      new RegExp(`^STORE_NEWER ${path} has schema ${version}, and this version of Keyhole knows up to ${version - 1}`),
    );
    const random = join(dir, "random.db");
    writeFileSync(random, randomBytes(8192));
    expect(await failureOf(random)).toMatch(new RegExp(`^STORE_CORRUPT [^]*${random}`));
    expect(readFileSync(random)).toHaveLength(8192);
    expect(await failureOf(join(dir, "nowhere", "tokens.db"))).toMatch(/^STORE_\w+ .*nowhere/);
    mkdirSync(join(dir, ".keyhole"), { mode: 0o700 });
    writeFileSync(join(dir, ".keyhole", "tokens.db"), randomBytes(8192), { mode: 0o600 });
    writeFileSync(join(dir, "keyhole.toml"), 'token.listen = "127.0.0.1:0"\nmetrics.listen = "127.0.0.1:0"\n');
    const { status, stderr } = run(["token", "--log-level", "silent"]);
    expect([status, stderr]).toEqual([78, expect.stringContaining("STORE_CORRUPT")]);
  },
  d23: async () => {
    const unsafe = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
    const checked = run(["config", "check"], unsafe);
    expect([checked.status, checked.stderr]).toEqual([78, expect.stringContaining("NODE_TLS_REJECT_UNAUTHORIZED: must not be 0")]);
    expect(run(["up", "--log-level", "silent"], unsafe).status).toBe(78);
    const odd = { HTTP_PROXY: "http://127.0.0.1:9", NODE_OPTIONS: "--max-old-space-size=4096", LD_PRELOAD: "" };
    const former = Object.keys(odd).map((name) => [name, process.env[name]] as const);
    Object.assign(process.env, odd);
    try {
      const [environment] = await superviseOnce();
      expect(environment).not.toMatch(/HTTP_PROXY|NODE_OPTIONS|LD_PRELOAD|KEYHOLE/);
    } finally {
      for (const [name, value] of former) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  },
};

it.each(badInputs.filter(({ id }) => id in tries))("$id: $input", async ({ id }) => {
  await tries[id]?.();
});
