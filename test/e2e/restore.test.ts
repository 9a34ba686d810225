/** The restore drill: real parts, a live tunnel all the while, and everything that must not be undone happening after the backup. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseLabel } from "@keyhole/core";
import { openSessionStore } from "@keyhole/store";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type EvmHolder, makeEvmHolder, prove, secondsFromNow } from "../support/credentials.ts";
import { startFrpcOn } from "../support/desktop-client.ts";
import { loginOf } from "../support/hostile-world.ts";
import { runKeyhole } from "../support/keyhole-command.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { domain } from "../support/keyhole-process.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { connectRaw } from "../support/raw-frp-client.ts";
import { type Visit, visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

const windowSeconds = 10;
const say = (): void => {};
let keyhole: KeyholeParts;
let app: LocalApp;
beforeAll(async () => {
  keyhole = await startKeyholeParts({ settings: `token.timestampWindowSeconds = ${windowSeconds}` });
  app = await startLocalApp("app");
});
afterAll(async () => {
  await app?.[Symbol.asyncDispose]();
  await keyhole?.[Symbol.asyncDispose]();
});

type Proof = Awaited<ReturnType<typeof prove>>;
const post = (purpose: "token" | "revoke", proof: Proof, accept = "application/json"): Promise<Visit> =>
  visit(keyhole.edgePort, domain, {
    path: `/v1/tunnel/${purpose}${accept === "application/toml" ? `?port=${app.port}` : ""}`,
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify(proof),
  });
const codeOf = ({ body }: Visit): string => String((JSON.parse(body) as { code?: unknown }).code);

async function buy(holder: EvmHolder, age = 0): Promise<{ readonly token: string; readonly proof: Proof }> {
  const proof = await prove(holder, "token", secondsFromNow(-age));
  const answer = await post("token", proof);
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.body}`);
  return { token: (JSON.parse(answer.body) as { token: string }).token, proof };
}

/** What the hook says to a login with the token: the code of its refusal, or "admitted". */
async function logIn(token: string): Promise<string> {
  using client = await connectRaw({ port: keyhole.controlPort });
  return String((await client.login(loginOf(token)))["error"] ?? "admitted").split(":")[0] ?? "";
}

const statusOf = async ({ label }: EvmHolder): Promise<number> => (await visit(keyhole.edgePort, `${label}.${domain}`)).status;
const stopBoth = async (signal: NodeJS.Signals): Promise<void> => {
  for (const part of ["token", "plugin"] as const) await keyhole.end(part, signal);
};
const startBoth = async (): Promise<void> => {
  for (const part of ["plugin", "token"] as const) await keyhole.start(part);
};

it("2, 6: a backup that is restored undoes no revocation, no block and no spent proof, with the old files there and without them", async () => {
  const [alice, bob, carol, dave] = [makeEvmHolder(), makeEvmHolder(), makeEvmHolder(), makeEvmHolder()];
  const config = await post("token", await prove(alice, "token", secondsFromNow(-5)), "application/toml");
  await using tunnel = startFrpcOn(keyhole, config.body);
  await tunnel.saw("start proxy success");
  await waitForFact("alice is served", async () => ((await statusOf(alice)) === 200 ? true : undefined));
  const before = { alice: await buy(alice), bob: await buy(bob, 5), carol: await buy(carol) };

  const backup = join(keyhole.dir, "drill.backup");
  const taken = runKeyhole(keyhole, "backup", backup);
  expect([taken.code, taken.err, taken.out]).toEqual([0, "", expect.stringContaining("read again and found good")]);
  expect(runKeyhole(keyhole, "backup", backup)).toMatchObject({ code: 1, err: expect.stringContaining("BACKUP_EXISTS") });
  expect(runKeyhole(keyhole, "restore", backup, "--check")).toMatchObject({ code: 0, out: expect.stringContaining("is good") });

  // After the backup: a revocation, a proof that is spent, a block.
  expect((await post("revoke", await prove(bob, "revoke", secondsFromNow()))).status).toBe(200);
  const after = await buy(dave);
  const refused = runKeyhole(keyhole, "restore", backup);
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(new RegExp(`STATE_LOCKED: .*process ${keyhole.pidOf("token")}`));
  await stopBoth("SIGTERM");
  const label = parseLabel(carol.label);
  if (label === undefined) throw new Error("a wallet has a label");
  {
    await using sessions = await openSessionStore({
      path: join(keyhole.stateDir, "sessions.db"),
      log: { debug: say, info: say, warn: say, error: say },
    });
    await sessions.saveBlock(
      { subject: label, reason: "abuse", createdAt: new Date(), endsAt: undefined },
      { at: new Date(), event: "block.set", label, detail: {} },
    );
  }
  expect(await statusOf(alice)).toBe(200);
  const restored = runKeyhole(keyhole, "restore", backup);
  expect([restored.code, restored.err]).toEqual([0, ""]);
  expect(restored.out).toMatch(/EVERY CLIENT MUST SIGN AGAIN/);
  expect(restored.out).toMatch(/tokens\.db +all of the file before it was read; carried over: .*2 spent proofs/);
  await startBoth();

  const nothingUndone = async (): Promise<void> => {
    for (const [who, token] of Object.entries({ alice: before.alice.token, bob: before.bob.token, dave: after.token }))
      expect([who, await logIn(token)]).toEqual([who, "TOKEN_REVOKED"]);
    expect(await logIn(before.carol.token)).toBe("ADDRESS_BLOCKED");
    expect(await statusOf(carol)).toBe(403);
  };
  await nothingUndone();
  // Alice's tunnel was never interrupted, and its token is of before.
  await waitForFact("alice's tunnel has ended", async () => ((await statusOf(alice)) === 503 ? true : undefined));
  expect(codeOf(await post("token", after.proof))).toBe("PROOF_ALREADY_USED");
  const again = await waitForFact("alice has signed again", async () => (await buy(alice, -2).catch(() => undefined))?.token);
  expect(await logIn(again)).toBe("admitted");

  // The same with both files destroyed: what is left is the backup, and the edge's list.
  await stopBoth("SIGKILL");
  for (const name of ["tokens.db", "sessions.db"]) {
    const path = join(keyhole.stateDir, name);
    writeFileSync(path, "rubbish ".repeat(2000));
    for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  }
  const lost = runKeyhole(keyhole, "restore", backup, "--json");
  expect([lost.code, lost.err]).toEqual([0, ""]);
  const told = JSON.parse(lost.out) as { tokens: { former: string }; sessions: { former: string }; proofsUntil: string; kept: string[] };
  expect([told.tokens.former, told.sessions.former]).toEqual(["lost", "lost"]);
  for (const name of told.kept) expect(existsSync(join(keyhole.stateDir, name))).toBe(true);
  await startBoth();
  await nothingUndone();
  expect(await logIn(again)).toBe("TOKEN_REVOKED");
  expect(codeOf(await post("token", after.proof))).toMatch(/^(?:TOKEN_REVOKED|TIMESTAMP_STALE)$/);
  const anew = await waitForFact(
    "dave has signed again",
    async () => {
      const proof = await prove(dave, "token", Math.ceil(Date.parse(told.proofsUntil) / 1000) + 1);
      const answer = await post("token", proof);
      return answer.status === 200 ? (JSON.parse(answer.body) as { token: string }).token : undefined;
    },
    { everyMs: 250 },
  );
  expect(await logIn(anew)).toBe("admitted");
  // The history says so too, and can be believed on both sides of it.
  expect(runKeyhole(keyhole, "audit", "verify")).toMatchObject({ code: 0 });
  const history = runKeyhole(keyhole, "events", "--event", "store.restored", "--json").out.trim().split("\n");
  expect(history.length).toBeGreaterThanOrEqual(2);
}, 60_000);
