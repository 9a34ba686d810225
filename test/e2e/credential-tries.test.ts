/** Every way in which a credential can be wrong, through the real frps: the manual's table, row by row. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeReason, refusals } from "@keyhole/core";
import { deriveLoginKey, frpVersion } from "@keyhole/frp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CredentialTry, credentialTries, type LoginFields, type TryWorld } from "../support/credential-tries.ts";
import { makeEvmHolder, makeHmacToken, makeStellarHolder, prove, secondsFromNow } from "../support/credentials.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { connectRaw, type RawFrpClient } from "../support/raw-frp-client.ts";
import { recordRun } from "../support/test-record.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
let keyhole: KeyholeProcess;
let keys: Pick<TryWorld, "hmac" | "retiredHmac" | "jwt" | "retiredJwt" | "audience">;

beforeAll(async () => {
  keyhole = await startKeyholeProcess();
  const [retiredHmac, retiredJwt] = [readNewest("token-hmac"), readNewest("token-jwt")];
  expect(runKeys("rotate")).toBe("");
  for (const { id } of [retiredHmac, retiredJwt]) await waitForRetirement(id);
  const [hmac, jwt] = [readNewest("token-hmac"), readNewest("token-jwt")];
  const info = await visit(keyhole.edgePort, domain, { path: "/info" });
  const audience = String((JSON.parse(info.body) as Record<string, unknown>)["server_address"]);
  keys = { hmac: hmac.seed, retiredHmac: retiredHmac.seed, jwt, retiredJwt, audience };
  const { label } = makeEvmHolder();
  await waitForFact("the plugin has read its keys again", async () => {
    const token = makeHmacToken({ label, issuedAt: secondsFromNow(), secret: hmac.seed });
    return (await tryLogin({ metas: { token } })) === "admitted" ? true : undefined;
  });
}, 60_000);
afterAll(() => keyhole?.[Symbol.asyncDispose]());

function readNewest(purpose: string): { readonly id: string; readonly seed: Buffer } {
  const dir = join(keyhole.stateDir, "keys", purpose);
  const file = readdirSync(dir)
    .filter((name) => name.endsWith(".key"))
    .sort()
    .at(-1);
  if (file === undefined) throw new Error(`${dir} holds no key`);
  return { id: file.replace(".key", ""), seed: Buffer.from(readFileSync(join(dir, file), "utf8").trim(), "base64url") };
}

/** Empty when it was done; else what was said. */
function runKeys(...args: string[]): string {
  const { status, stderr } = recordRun(spawnSync(process.execPath, [main, "keys", ...args, "--config", join(keyhole.dir, "keyhole.toml")]));
  return status === 0 ? "" : `${status} ${String(stderr)}`;
}

/** A key that mints is only retired when the one after it does. */
async function waitForRetirement(id: string): Promise<void> {
  let said = "";
  const retire = (): true | undefined => {
    said = runKeys("retire", id, "--now");
    return said === "" ? true : undefined;
  };
  await waitForFact(`key ${id} is retired`, retire, { timeoutMs: 20_000, everyMs: 500, describe: () => said });
}

function loginOf({ metas = {}, privilege_key, user = "" }: LoginFields): Record<string, unknown> {
  const timestamp = secondsFromNow();
  return {
    version: frpVersion,
    os: "linux",
    arch: "amd64",
    user,
    privilege_key: privilege_key ?? deriveLoginKey("", timestamp),
    timestamp,
    pool_count: 0,
    metas,
  };
}

/** The error that frps gives back; "admitted" when there is none. */
async function logIn(client: RawFrpClient, fields: LoginFields): Promise<string> {
  return String((await client.login(loginOf(fields)))["error"] ?? "admitted");
}

async function tryLogin(fields: LoginFields): Promise<string> {
  using client = await connectRaw({ port: keyhole.controlPort });
  return await logIn(client, fields);
}

/** Everybody is new in every try: nothing of the ones before counts. */
function makeTryWorld(): TryWorld {
  return {
    ...keys,
    domain,
    mine: makeEvmHolder(),
    theirs: makeEvmHolder(),
    myAccount: makeStellarHolder(),
    theirAccount: makeStellarHolder(),
    async revoke(holder) {
      const body = JSON.stringify(await prove(holder, "revoke", secondsFromNow()));
      const headers = { "content-type": "application/json" };
      const answer = await visit(keyhole.edgePort, domain, { path: "/v1/tunnel/revoke", method: "POST", headers, body });
      if (answer.status !== 200) throw new Error(`not revoked: ${answer.status} ${answer.body}`);
    },
  };
}

it.each(credentialTries.map((one): [string, CredentialTry] => [`a ${one.credential} ${one.what}`, one]))(
  "13: %s is refused with its own code and remedy",
  async (_title, { before, login, code }) => {
    const world = makeTryWorld();
    using earlier = before === undefined ? undefined : await connectRaw({ port: keyhole.controlPort });
    if (earlier !== undefined && before !== undefined) expect(await logIn(earlier, await before(world))).toBe("admitted");
    const answer = await tryLogin(await login(world));
    // What is told beside it (a field, seconds) follows.
    expect(answer.slice(0, describeReason(code).length)).toBe(describeReason(code).slice(0, 200));
    expect(answer).toContain(refusals[code].sentence);
  },
);
