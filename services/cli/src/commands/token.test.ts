import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  addressOfPrivateKey,
  derivePrivateKey,
  type Label,
  mintTunnelToken,
  parseLabel,
  printIdentity,
  publicKeyOfSeed,
  signEd25519,
  signPersonalMessage,
} from "@keyhole/core";
import { openSessionStore, openTokenStore } from "@keyhole/store";
import { mintTunnelJwt } from "@keyhole/token";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parseConfig } from "../config/load-config.ts";
import { openKeyRing } from "../state/key-files.ts";
import { openSigningKeys } from "../state/signing-keys.ts";
import { openStateDirectory } from "../state/state-directory.ts";
import { openStellarServer } from "../state/stellar-server.ts";
import { describeInspection, inspectText, renderInspection } from "./token.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const log = { debug() {}, info() {}, warn() {}, error() {} };
const label = parseLabel(`0x${"5a".repeat(20)}`) as Label;
let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-inspect-"));
  writeFileSync(join(dir, "keyhole.toml"), 'stateDir = "state"\ndomain = "tunnel.example.localhost"\n');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const state = () => openStateDirectory(join(dir, "state"), "private");
const now = (): Date => new Date();
const wholeSecond = (seconds = 0): Date => new Date((Math.floor(Date.now() / 1000) + seconds) * 1000);
const openTokens = () => openTokenStore({ path: join(state().path, "tokens.db"), log });
const openSessions = () => openSessionStore({ path: join(state().path, "sessions.db"), log });
const openRing = () => openKeyRing({ state: state(), purpose: "token-hmac", isShared: true, now, randomBytes, log });

/** Buys a token as the token service does. */
async function buy(kind: "hmac" | "jwt", ttlSeconds = 3600): Promise<string> {
  await using tokens = await openTokens();
  const order = { label, kind, now: now(), ttlSeconds, keyId: "k", isExclusive: false, repeat: undefined };
  const proof = { proofKey: randomBytes(8).toString("hex"), provedAt: now(), proofEndsAt: wholeSecond(600) };
  const outcome = await tokens.orderToken({ ...order, ...proof });
  if (!("token" in outcome)) throw new Error(outcome.outcome);
  if (kind === "hmac") return mintTunnelToken(outcome.token, openRing()().keys[0]);
  return await mintTunnelJwt(
    outcome.token,
    openSigningKeys({ state: state(), now, randomBytes, log }).minting(),
    "tunnel.example.localhost",
  );
}

type Told = Record<string, unknown> & { readonly screen: string };

function inspect(input: string, ...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [main, "token", "inspect", "--config", join(dir, "keyhole.toml"), ...args],
    {
      input,
      env: { PATH: process.env.PATH },
      cwd: dir,
      encoding: "utf8",
    },
  );
  expect(`${stdout}${stderr}`).not.toContain(input.trim().slice(-40) || "\u0000");
  return { status, stdout, stderr };
}
/** The same without a process of its own. */
async function told(input: string): Promise<Told> {
  const config = parseConfig({ text: 'stateDir = "state"\ndomain = "tunnel.example.localhost"\n', name: "test", base: dir, env: {} });
  const inspection = await inspectText(input, config, now());
  if (inspection === undefined) throw new Error("no credential");
  const [json, screen] = [JSON.stringify(describeInspection(inspection)), renderInspection(inspection, now())];
  expect(`${json}${screen}`).not.toContain(input.slice(-40));
  return { ...(JSON.parse(json) as Told), screen };
}

it("9: tells of a tunnel token whose it is, how long, by which key, and what a login would be told; never the token", async () => {
  const token = await buy("hmac");
  const address = printIdentity({ namespace: "eip155", address: Buffer.alloc(20, 0x5a) });
  expect(await told(token)).toMatchObject({
    isGood: true,
    kind: "hmac",
    address,
    isRecorded: true,
    isRevoked: false,
    keyId: openRing()().keys[0].id,
  });
  writeFileSync(join(dir, "frpc.toml"), `serverAddr = "x"\nuser = "${label}"\nmetadatas.token = "${token}"\n[[proxies]]\nname = "a"\n`);
  const fromFile = inspect("", join(dir, "frpc.toml"));
  expect([fromFile.status, fromFile.stdout]).toEqual([0, expect.stringMatching(/tunnel token\n {2}address +0x5a[\s\S]*would be let in/i)]);
  expect(fromFile.stdout).not.toContain(token);
  expect(await told(JSON.stringify({ token: await buy("jwt"), subdomain: label }))).toMatchObject({
    isGood: true,
    kind: "jwt",
    isRecorded: true,
  });
  const altered = `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`;
  expect(await told(altered)).toMatchObject({ isProved: false, address: null, refusal: { code: "TOKEN_SIGNATURE" } });
});

it("tells that a token is expired, unrecorded, revoked by its owner or by an operator, or its address blocked", async () => {
  const ring = openRing()();
  const old = mintTunnelToken({ label, issuedAt: wholeSecond(-100_000) }, ring.keys[0]);
  expect(await told(old)).toMatchObject({ isProved: true, isRecorded: false, refusal: { code: "TOKEN_EXPIRED" } });
  const token = await buy("hmac");
  {
    await using sessions = await openSessions();
    const event = { at: now(), event: "block.set", detail: {} } as const;
    await sessions.saveBlock({ subject: label, reason: "spam\u001b[2J", createdAt: now(), endsAt: wholeSecond(3600) }, event);
  }
  expect(await told(token)).toMatchObject({ refusal: { code: "ADDRESS_BLOCKED" }, block: { endsAt: expect.any(String) } });
  expect((await told(token)).screen).toMatch(/blocked +.*yes.*until 20.*: spam\?\[2J/);
  {
    await using sessions = await openSessions();
    const event = { at: now(), event: "block.set", detail: {} } as const;
    await sessions.saveBlock({ subject: label, reason: "", createdAt: now(), endsAt: undefined }, event);
  }
  expect((await told(token)).screen).toMatch(/blocked +.*yes.*, until it is lifted$/m);
  {
    await using sessions = await openSessions();
    await sessions.removeBlock(label, { at: now(), event: "block.lifted", detail: {} });
    const event = { at: now(), event: "operator.revoked", detail: {} } as const;
    await sessions.saveOperatorRevocation({ label, notBefore: wholeSecond(5), at: now() }, event);
  }
  expect(await told(token)).toMatchObject({
    refusal: { code: "TOKEN_REVOKED" },
    isRevoked: true,
    ownerNotBefore: null,
    operatorNotBefore: expect.any(String),
  });
});

it("tells of a Vana claim and a Stellar JWT whose they are, also when their time is over, and of altered ones that nothing is proved", async () => {
  const key = derivePrivateKey(randomBytes(32));
  const wallet = printIdentity({ namespace: "eip155", address: addressOfPrivateKey(key) });
  const claimOf = (iat: number): string => {
    const payload = {
      aud: "https://tunnel.vana.org",
      iat,
      exp: iat + 300,
      owner: wallet,
      wallet,
      subdomain: wallet.toLowerCase(),
      runId: "r",
    };
    const text = Buffer.from(JSON.stringify(payload)).toString("base64url");
    return JSON.stringify({ wallet, owner: wallet, run_id: "r", auth_claim: text, auth_sig: signPersonalMessage(text, key) });
  };
  const seconds = Math.floor(Date.now() / 1000);
  openStellarServer({ state: state(), secretFile: undefined, env: {}, randomBytes });
  expect(await told(claimOf(seconds))).toMatchObject({ kind: "claim", address: wallet, keyId: null, isRecorded: null, refusal: null });
  expect(await told(claimOf(seconds - 5000))).toMatchObject({ address: wallet, isProved: true, refusal: { code: "CLAIM_EXPIRED" } });

  const { address: audience } = openStellarServer({ state: state(), secretFile: undefined, env: {}, randomBytes });
  const seed = randomBytes(32);
  const account = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(seed) });
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const jwtOf = (iat: number): string => {
    const text = `${encode({ alg: "EdDSA", typ: "JWT" })}.${encode({ iss: "hvym_tunnler", sub: account, aud: audience, iat, exp: iat + 60 })}`;
    return `${text}.${Buffer.from(signEd25519(Buffer.from(text), seed)).toString("base64url")}`;
  };
  expect(await told(jwtOf(seconds))).toMatchObject({ kind: "stellar-jwt", address: account });
  expect(await told(jwtOf(seconds - 5000))).toMatchObject({ address: account, refusal: { code: "JWT_EXPIRED" } });
  const [head, body] = jwtOf(seconds).split(".");
  expect(await told(`${head}.${body}.${Buffer.alloc(64, 7).toString("base64url")}`)).toMatchObject({
    address: null,
    refusal: { code: "SIGNATURE_INVALID" },
  });
});

it("9: refuses a credential on the command line, and says why; whatever is typed there, it is not printed", async () => {
  const token = await buy("hmac");
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [main, "token", ...args], { env: { PATH: process.env.PATH }, cwd: dir, encoding: "utf8", input: "" });
  const refused = run("inspect", token);
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining("everybody could read it in the list of processes")]);
  for (const args of [[token], ["inspect", "x", token]]) {
    const { status, stdout, stderr } = run(...args);
    expect([args.length, status, `${stdout}${stderr}`]).toEqual([args.length, 2, expect.not.stringContaining(token)]);
  }
  expect(run("inspect", "no-such-file").status).toBe(2);
  expect([inspect("rubbish").status, inspect("x".repeat(200_000)).status]).toEqual([1, 1]);
}, 60_000);
