/** Keys are rotated under live tunnels, with the parts apart: nobody who is good is refused, before, while and after. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connectClient, requestToken } from "../support/desktop-client.ts";
import { loginOf } from "../support/hostile-world.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { startLocalApp } from "../support/local-app.ts";
import { connectRaw } from "../support/raw-frp-client.ts";
import { failuresOf, hostOf, servedBy, startVisitingWallet } from "../support/served-by.ts";
import { recordRun } from "../support/test-record.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
let keyhole: KeyholeParts;
beforeAll(async () => {
  keyhole = await startKeyholeParts();
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

type Key = { readonly purpose: string; readonly id: string; readonly state: string };

const listKeys = (): Key[] => (JSON.parse(runKeys("list", "--json")) as { keys: Key[] }).keys;

function runKeys(...args: string[]): string {
  const { status, stdout, stderr } = recordRun(
    spawnSync(process.execPath, [main, "keys", ...args, "--config", join(keyhole.dir, "keyhole.toml")]),
  );
  if (status !== 0) throw new Error(`keyhole keys ${args.join(" ")}: ${status} ${String(stderr)}`);
  return String(stdout);
}

/** Buys a token and logs in with it at once. */
async function buyAndLogIn(): Promise<string> {
  const { token } = await requestToken(keyhole, makeWallet());
  using client = await connectRaw({ port: keyhole.controlPort });
  return String((await client.login(loginOf(token)))["error"] ?? "admitted");
}

it("2, 7: nobody is refused while all keys are rotated, and a client of before is back on its ticket when frps was killed", async () => {
  await using app = await startLocalApp("app");
  const wallet = makeWallet();
  await using client = await connectClient(keyhole, wallet, app.port);
  await servedBy(keyhole, wallet, "app");
  const load = startVisitingWallet(keyhole, wallet);
  const before = await requestToken(keyhole, makeWallet());
  const formerKeys = listKeys().map(({ id }) => id);
  runKeys("rotate");

  // The new keys mint after five seconds; until then the former ones go on.
  const answers: string[] = [];
  await waitForFact(
    "every purpose mints with its new key",
    async () => {
      answers.push(await buyAndLogIn());
      return listKeys().every(({ id, state }) => formerKeys.includes(id) || state === "mints" || state === "signs") ? true : undefined;
    },
    { timeoutMs: 20_000, everyMs: 200, describe: () => runKeys("list") },
  );
  for (let round = 0; round < 5; round += 1) answers.push(await buyAndLogIn());
  expect(answers.filter((answer) => answer !== "admitted")).toEqual([]);
  await load.stop();
  expect(failuresOf(load)).toEqual([]);

  using old = await connectRaw({ port: keyhole.controlPort });
  expect(await old.login(loginOf(before.token))).not.toHaveProperty("error");
  client.mark();
  process.kill(keyhole.frpsPid(), "SIGKILL");
  await client.saw("start proxy success", 30_000);
  await servedBy(keyhole, wallet, "app");
});

it("6: a key that is retired at once makes every token of it worthless, ends whom it let in, and costs nobody else more than a moment", async () => {
  const wallet = makeWallet();
  const { token } = await requestToken(keyhole, wallet);
  await using app = await startLocalApp("forged");
  using inside = await connectRaw({ port: keyhole.controlPort });
  const { run_id: ticket } = await inside.login(loginOf(token));
  inside.serve(String(ticket), app.port);
  expect(await inside.newProxy({ proxy_name: `${wallet.label}.app`, proxy_type: "http", subdomain: wallet.label })).toBe("");
  await servedBy(keyhole, wallet, "forged");
  await using goodApp = await startLocalApp("good");
  const good = makeWallet();
  const minting = listKeys().find(({ purpose, state }) => purpose === "token-hmac" && state === "mints");
  runKeys("rotate", "token-hmac");
  await waitForFact(
    "the new key mints",
    () =>
      listKeys().some(({ purpose, state, id }) => purpose === "token-hmac" && state === "mints" && id !== minting?.id) ? true : undefined,
    { timeoutMs: 20_000, everyMs: 300 },
  );
  await using _client = await connectClient(keyhole, good, goodApp.port);
  expect(runKeys("retire", minting?.id ?? "", "--now")).toMatch(/2 sessions were ended/);
  expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(503);
  await servedBy(keyhole, good, "good");
  await waitForFact("the token is refused", async () => {
    using client = await connectRaw({ port: keyhole.controlPort });
    return String((await client.login(loginOf(token)))["error"] ?? "").startsWith("TOKEN_SIGNATURE") ? true : undefined;
  });
  expect(await buyAndLogIn()).toBe("admitted");
  expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(503);
});
