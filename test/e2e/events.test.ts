/** The history of a real Keyhole: what is in it, that it verifies, and that whoever changes it is found. */
import { spawnSync } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { requestClientConfig, requestToken } from "../support/desktop-client.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
let keyhole: KeyholeProcess;
beforeAll(async () => {
  keyhole = await startKeyholeProcess();
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

type Event = {
  readonly chain: string;
  readonly event: string;
  readonly address: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
};

function run(args: readonly string[], input = ""): { readonly status: number | null; readonly stdout: string } {
  const { status, stdout } = spawnSync(process.execPath, [main, ...args, "--config", join(keyhole.dir, "keyhole.toml")], {
    env: { PATH: process.env.PATH },
    encoding: "utf8",
    input,
  });
  return { status, stdout };
}
const readEvents = (...args: string[]): readonly Event[] =>
  run(["events", "--json", "--limit", "1000", ...args])
    .stdout.split("\n")
    .flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Event]));
type Audit = {
  readonly isClean: boolean;
  readonly chains: readonly { readonly writer: string; readonly flaws: readonly { readonly flaw: string }[] }[];
};
function audit(): { readonly status: number | null; readonly flaws: readonly string[] } {
  const { status, stdout } = run(["audit", "verify", "--json"]);
  const { chains } = JSON.parse(stdout) as Audit;
  return { status, flaws: chains.flatMap(({ writer, flaws }) => flaws.map(({ flaw }) => `${writer} ${flaw}`)) };
}
const clean = { status: 0, flaws: [] };

it("9: grants, refusals, restarts, kills, settings and keys are remembered, the history verifies, and nothing secret is in it", async () => {
  const wallet = makeWallet();
  const { token } = await requestToken(keyhole, wallet);
  const file = await requestClientConfig(keyhole, wallet, 8080);
  expect([token, file].map((input) => run(["token", "inspect"], input).status)).toEqual([0, 0]);
  const wrong = { walletAddress: wallet.address, timestamp: Math.floor(Date.now() / 1000), signature: `0x${"11".repeat(64)}1b` };
  for (let count = 0; count < 5; count += 1)
    await visit(keyhole.edgePort, domain, {
      path: "/v1/tunnel/token",
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(wrong),
    });
  expect(run(["keys", "rotate"]).status).toBe(0);
  await waitForFact(
    "the rotation is in the history, down to what mints",
    () => {
      const told = readEvents("--event", "keys.changed");
      const newest = (purpose: string) => told.filter(({ detail }) => detail["purpose"] === purpose).at(-1)?.detail;
      const ids = (purpose: string) => String(newest(purpose)?.["verify"]).split(" ");
      return ["token-hmac", "token-jwt", "ticket-hmac", "audit-tokens", "audit-sessions"].every(
        (purpose) => ids(purpose).length === 2 && newest(purpose)?.["mints"] === ids(purpose)[0],
      )
        ? true
        : undefined;
    },
    { timeoutMs: 30_000, everyMs: 500, describe: () => JSON.stringify(readEvents("--event", "keys.changed")) },
  );
  expect(audit()).toEqual(clean);
  expect(await keyhole.end("SIGTERM")).toBe(0);
  expect(audit()).toEqual(clean);
  appendFileSync(join(keyhole.dir, "keyhole.toml"), "events.keepDays = 30\n");
  await keyhole.restart();
  await keyhole.end("SIGKILL");
  expect(audit()).toEqual(clean);
  await keyhole.restart();
  expect(await keyhole.end("SIGTERM")).toBe(0);

  const history = readEvents();
  for (const chain of ["tokens", "sessions"]) {
    const own = history.filter((row) => row.chain === chain);
    expect(own.filter(({ event }) => event === "process.started").map(({ detail }) => detail["afterStop"])).toEqual([
      undefined,
      true,
      false,
    ]);
    expect(own.filter(({ event }) => event === "process.stopped")).toHaveLength(2);
    expect(own.filter(({ event }) => event === "config.changed").map(({ detail }) => detail["settings"])).toEqual(["events.keepDays"]);
  }
  expect(history.filter(({ event }) => event === "token.granted").map(({ address }) => address)).toEqual([wallet.address, wallet.address]);
  const refused = history.filter(({ event, chain }) => event === "refused" && chain === "tokens");
  expect(refused.map(({ detail }) => [detail["more"] ?? 1, detail["surface"]])).toEqual([
    [1, "token"],
    [4, "token"],
  ]);
  expect(audit()).toEqual(clean);
  const secrets = [
    token,
    wrong.signature.slice(2),
    readFileSync(join(keyhole.stateDir, "ports.json"), "utf8").match(/assword": ?"([^"]+)/)?.[1],
  ];
  for (const secret of secrets) expect(JSON.stringify(history)).not.toContain(secret ?? "nothing was found");
});

it("a flipped byte, a dropped row, a swapped row and a file that was put back are found in what it left behind", async () => {
  const path = join(keyhole.stateDir, "tokens.db");
  const settle = (): void => {
    const db = new Database(path);
    db.pragma("wal_checkpoint(TRUNCATE)");
    db.close();
  };
  const put = (bytes: Buffer): void => {
    for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
    writeFileSync(path, bytes);
  };
  const change = (sql: string): void => {
    const db = new Database(path);
    db.exec(sql);
    db.close();
  };
  settle();
  const good = readFileSync(path);
  const flipped = Buffer.from(good);
  const at = flipped.indexOf('"surface":"token","more":4') + 25;
  flipped[at] = (flipped[at] ?? 0) ^ 1;
  put(flipped);
  expect(audit()).toEqual({ status: 1, flaws: ["tokens altered"] });
  put(good);
  change("DELETE FROM events WHERE event = 'token.granted'");
  expect(audit()).toEqual({ status: 1, flaws: ["tokens missing"] });
  put(good);
  change(
    "UPDATE events SET sequence = 0 WHERE sequence = 3; UPDATE events SET sequence = 3 WHERE sequence = 4; UPDATE events SET sequence = 4 WHERE sequence = 0",
  );
  expect(audit()).toEqual({ status: 1, flaws: ["tokens altered", "tokens altered", "tokens altered"] });

  put(good);
  copyFileSync(path, join(keyhole.dir, "older"));
  expect(audit()).toEqual(clean);
  await keyhole.restart();
  await requestToken(keyhole, makeWallet());
  await keyhole.end("SIGTERM");
  expect(audit()).toEqual(clean);
  put(readFileSync(join(keyhole.dir, "older")));
  expect(audit()).toEqual({ status: 1, flaws: ["tokens rolled-back"] });
  await keyhole.restart();
  await requestToken(keyhole, makeWallet());
  await requestToken(keyhole, makeWallet());
  await keyhole.end("SIGTERM");
  expect(audit().status).toBe(1);
  expect(existsSync(path)).toBe(true);
});
