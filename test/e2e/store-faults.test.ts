/**
 * What becomes of the stores' files while everything runs (FAULTS.md, F6–F8): issuing says 503 and when to come back, logins of
 * good tokens and visitors go on, and when the cause is gone everything resumes in the same processes.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectClient, type DesktopClient } from "../support/desktop-client.ts";
import { makeImmutable, openSmallDisk, type SmallDisk } from "../support/disk-faults.ts";
import { loginOf } from "../support/hostile-world.ts";
import { type KeyholeParts, type Part, startKeyholeParts } from "../support/keyhole-parts.ts";
import { domain } from "../support/keyhole-process.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { connectRaw } from "../support/raw-frp-client.ts";
import { hostOf, servedBy } from "../support/served-by.ts";
import { type Visit, visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet, type Wallet } from "../support/wallet.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
const writers: readonly Part[] = ["token", "plugin"];
let disk: SmallDisk;
let keyhole: KeyholeParts;
let app: LocalApp;
let client: DesktopClient;
let pids: readonly number[];
const wallet = makeWallet();
/** Everything that was ever acknowledged: who, when, with which token. */
const acknowledged: { readonly wallet: Wallet; readonly timestamp: number; readonly token: string }[] = [];

beforeAll(async () => {
  disk = openSmallDisk(24);
  keyhole = await startKeyholeParts({ prepare: (_dir, stateDir) => symlinkSync(disk.path, stateDir) });
  app = await startLocalApp("app");
  client = await connectClient(keyhole, wallet, app.port);
  await servedBy(keyhole, wallet, "app");
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
  await keyhole?.[Symbol.asyncDispose]();
  disk?.[Symbol.dispose]();
});
beforeEach(async () => {
  pids = writers.map((part) => keyhole.pidOf(part));
  await buy();
});
afterEach(async () => {
  // Nothing that was acknowledged is lost, and whoever served before still does.
  for (const { wallet: who, timestamp } of acknowledged.slice(-20)) expect(codeOf(await order(who, timestamp))).toBe("PROOF_ALREADY_USED");
  expect((await visit(keyhole.edgePort, hostOf(wallet))).body).toBe("app");
});

let lastTimestamp = 0;
const order = (who: Wallet, timestamp: number): Promise<Visit> =>
  visit(keyhole.edgePort, domain, {
    path: "/v1/tunnel/token",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(who.prove(timestamp)),
  });
const codeOf = ({ body }: Visit): unknown => (JSON.parse(body) as { code?: unknown }).code;

/** Asks for a token with a proof of its own, and remembers what was acknowledged. */
async function tryToBuy(): Promise<Visit> {
  const who = makeWallet();
  lastTimestamp = Math.max(lastTimestamp + 1, Math.floor(Date.now() / 1000) - 250);
  const timestamp = lastTimestamp;
  const answer = await order(who, timestamp);
  if (answer.status === 200) acknowledged.push({ wallet: who, timestamp, token: (JSON.parse(answer.body) as { token: string }).token });
  return answer;
}

async function buy(): Promise<string> {
  const answer = await tryToBuy();
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.body}`);
  return acknowledged.at(-1)?.token ?? "";
}

async function logIn(token: string): Promise<string> {
  using raw = await connectRaw({ port: keyhole.controlPort });
  return String((await raw.login(loginOf(token)))["error"] ?? "admitted");
}

/** 503 with a time to come back; whoever has a good token is let in all the same. */
async function expectNoIssuing(): Promise<void> {
  const answer = await waitForFact("issuing is refused", async () => {
    const found = await tryToBuy();
    return found.status === 200 ? undefined : found;
  });
  expect([answer.status, codeOf(answer), answer.headers["retry-after"]]).toEqual([503, "STORE_UNAVAILABLE", "5"]);
  for (const { token } of acknowledged.slice(-3)) expect(await logIn(token)).toBe("admitted");
  expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(200);
}

/** Everything resumes, in the processes that were there. */
async function expectRecovery(): Promise<void> {
  await waitForFact("tokens are issued again", async () => ((await tryToBuy()).status === 200 ? true : undefined), { everyMs: 50 });
  expect(await logIn(acknowledged.at(-1)?.token ?? "")).toBe("admitted");
  expect(writers.map((part) => keyhole.pidOf(part))).toEqual(pids);
  await waitForFact("all is well", () => (keyhole.readStatus().isWell ? true : undefined), {
    everyMs: 200,
    describe: () => JSON.stringify(keyhole.readStatus()),
  });
}

const tokensFile = (): string => join(keyhole.stateDir, "tokens.db");

/** The exit code of the token service, when it is started now, and what it says. */
function startToken(): { readonly code: number | null; readonly said: string } {
  const { status, stderr } = spawnSync(process.execPath, [main, "token", "--config", join(keyhole.dir, "keyhole.toml")], {
    cwd: keyhole.dir,
    env: { PATH: process.env.PATH },
    encoding: "utf8",
    timeout: 20_000,
  });
  return { code: status, said: stderr };
}

describe("while everything runs", () => {
  it("6, 7: a full disk stops issuing and nothing else, until there is room", async () => {
    disk.fill(pids);
    await expectNoIssuing();
    disk.free(pids);
    await expectRecovery();
  });

  it("6, 7: a file that may not be written any more stops issuing and nothing else, until it may", async () => {
    {
      // Not the index of the log (-shm): it is mapped into memory, and the kernel ends whoever writes there and may not (SIGBUS).
      using _immutable = makeImmutable(
        ["", "-wal"].map((suffix) => tokensFile() + suffix),
        [keyhole.pidOf("token")],
      );
      await expectNoIssuing();
    }
    await expectRecovery();
  });

  it("6, 7: a lock that another program holds on both stores stops issuing and nothing else, until it is let go", async () => {
    const others = [tokensFile(), join(keyhole.stateDir, "sessions.db")].map((path) => new Database(path));
    for (const other of others) other.exec("BEGIN EXCLUSIVE");
    await expectNoIssuing();
    for (const other of others) other.close();
    await expectRecovery();
  });

  it("6: bytes that flip let nobody in who must stay out and stop no process; once they are put right everything resumes", async () => {
    const [bought, size] = [await buy(), statSync(tokensFile()).size];
    const good = readFileSync(tokensFile()).subarray(0, size);
    overwrite(tokensFile(), flipped(good), 4096);
    const answers = await Promise.all([tryToBuy(), tryToBuy()]);
    for (const { status } of answers) expect([200, 503]).toContain(status);
    expect(await logIn(bought)).toMatch(/^(?:admitted|STORE_UNAVAILABLE)/);
    expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(200);
    overwrite(tokensFile(), good, 4096);
    await expectRecovery();
  });

  it.each([["-wal"], ["-shm"]])(
    "6: nothing that was acknowledged is lost when tokens.db%s is removed, and issuing and logins go on",
    async (suffix) => {
      await buy();
      rmSync(tokensFile() + suffix);
      await buy();
      const token = await buy();
      await waitForFact("the newest token is let in", async () => ((await logIn(token)) === "admitted" ? true : undefined));
      await expectRecovery();
    },
  );
});

describe("at a start", () => {
  afterEach(async () => {
    if (!existsSync(tokensFile())) throw new Error("tokens.db is gone");
  });

  it("6: a damaged file is refused with what helps, never begun anew, and those with a tunnel have it", async () => {
    await keyhole.end("token", "SIGTERM");
    // While the plugin reads, a writer that closes leaves its log: all of it shall be in the file itself.
    const db = new Database(tokensFile());
    // It has no log to write back before it has looked.
    expect(db.pragma("journal_mode", { simple: true })).toBe("wal");
    expect(db.pragma("wal_checkpoint(TRUNCATE)")).toEqual([{ busy: 0, log: 0, checkpointed: 0 }]);
    db.close();
    expect(statSync(`${tokensFile()}-wal`).size).toBe(0);
    const good = readFileSync(tokensFile());
    overwrite(tokensFile(), flipped(good), 4096);
    const { code, said } = startToken();
    expect([code, said]).toEqual([78, expect.stringMatching(/STORE_CORRUPT: .*tokens\.db.*keyhole restore/)]);
    // What the plugin has read before it may still know.
    expect(await logIn(acknowledged.at(-1)?.token ?? "")).toMatch(/^(?:admitted|STORE_UNAVAILABLE)/);
    expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(200);
    overwrite(tokensFile(), good, 0);
    await keyhole.start("token");
    expect(await logIn(await buy())).toBe("admitted");
  });

  it("6: a file whose log is missing is refused, and is whole when the log is put back", async () => {
    await keyhole.end("token", "SIGKILL");
    const kept = join(disk.path, "kept");
    renameSync(`${tokensFile()}-wal`, kept);
    const { code, said } = startToken();
    expect([code, said]).toEqual([78, expect.stringMatching(/STORE_CORRUPT: .*-wal.*has been removed/)]);
    renameSync(kept, `${tokensFile()}-wal`);
    await keyhole.start("token");
    expect(await logIn(await buy())).toBe("admitted");
  });
});

/** Every byte another one. */
const flipped = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte) => byte ^ 0xff));

/** Writes into a file where it lies, from an offset on. */
function overwrite(path: string, bytes: Buffer, from: number): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, from, bytes.length - from, from);
  closeSync(file);
}
