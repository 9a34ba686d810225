/** What the holder of the key can do against whoever has one of his tokens, and what is repeated when an answer was lost. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EvmHolder, makeEvmHolder, prove, secondsFromNow } from "../support/credentials.ts";
import { type DesktopClient, startFrpcOn } from "../support/desktop-client.ts";
import { startKeyholeParts } from "../support/keyhole-parts.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { type Visit, visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

type Edge = { readonly edgePort: number };
let keyhole: KeyholeProcess;
let ownersApp: LocalApp;
let thiefsApp: LocalApp;
beforeAll(async () => {
  keyhole = await startKeyholeProcess();
  ownersApp = await startLocalApp("owner");
  thiefsApp = await startLocalApp("thief");
});
afterAll(async () => {
  await ownersApp?.[Symbol.asyncDispose]();
  await thiefsApp?.[Symbol.asyncDispose]();
  await keyhole?.[Symbol.asyncDispose]();
});

/** Asks the public API, as somebody on the internet does. */
async function ask(
  edge: Edge,
  holder: EvmHolder,
  options: {
    readonly purpose?: "token" | "revoke";
    readonly query?: string;
    readonly age?: number;
    readonly headers?: Record<string, string>;
    readonly more?: object;
  } = {},
): Promise<Visit> {
  const { purpose = "token", query = "", age = 0, headers = {}, more = {} } = options;
  const body = JSON.stringify({ ...(await prove(holder, purpose, secondsFromNow(-age))), ...more });
  const path = `/v1/tunnel/${purpose}${query}`;
  return await visit(edge.edgePort, domain, { path, method: "POST", headers: { "content-type": "application/json", ...headers }, body });
}

/** A frpc.toml with a token that was bought now; every proof has an age of its own. */
async function buyConfig(edge: Edge, holder: EvmHolder, port: number, age: number): Promise<string> {
  const answer = await ask(edge, holder, { query: `?port=${port}`, age, headers: { accept: "application/toml" } });
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.body}`);
  return answer.body;
}

/** Who answers `count` requests that begin now: how often each. */
async function countAnswers(edge: Edge, { label }: EvmHolder, count: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let left = count; left > 0; left -= 20) {
    const answers = await Promise.all(Array.from({ length: Math.min(20, left) }, () => visit(edge.edgePort, `${label}.${domain}`)));
    for (const { status, body } of answers) {
      const who = status === 200 ? body : String(status);
      counts[who] = (counts[who] ?? 0) + 1;
    }
  }
  return counts;
}

const answeredBy = (edge: Edge, { label }: EvmHolder, who: string): Promise<true> =>
  waitForFact(`${who} serves`, async () => ((await visit(edge.edgePort, `${label}.${domain}`)).body === who ? true : undefined));

async function connect(config: string): Promise<DesktopClient> {
  const client = startFrpcOn(keyhole, config);
  await client.saw("start proxy success");
  return client;
}

/** The owner's first token, which the thief has, and the one that the owner bought a second later. */
async function buyTwo(holder: EvmHolder): Promise<{ readonly older: string; readonly newer: string }> {
  const older = await buyConfig(keyhole, holder, thiefsApp.port, 5);
  const newer = await buyConfig(keyhole, holder, ownersApp.port, 4);
  return { older, newer };
}

describe("a thief with an older token", () => {
  it("2: gets none of a thousand requests while the owner is online, and is told why", async () => {
    const owner = makeEvmHolder();
    const { older, newer } = await buyTwo(owner);
    await using _client = await connect(newer);
    await answeredBy(keyhole, owner, "owner");
    await using thief = startFrpcOn(keyhole, older);
    await thief.saw("NEWER_CREDENTIAL_IN_USE");
    expect(await countAnswers(keyhole, owner, 1000)).toEqual({ owner: 1000 });
  });

  it("2: who serves while the owner is away is out within two seconds of the owner's signature, and stays out", async () => {
    const owner = makeEvmHolder();
    const older = await buyConfig(keyhole, owner, thiefsApp.port, 5);
    await using thief = await connect(older);
    await answeredBy(keyhole, owner, "thief");
    const signedAt = performance.now();
    await using _client = await connect(await buyConfig(keyhole, owner, ownersApp.port, 4));
    await answeredBy(keyhole, owner, "owner");
    expect(performance.now() - signedAt).toBeLessThan(2000);
    // Its session lived when the owner's token was bought, so that counts as its renewal: but the owner's client came later.
    await thief.saw("REPLACED_BY_NEWER_CLIENT");
    await using again = startFrpcOn(keyhole, older);
    await again.saw("NEWER_CREDENTIAL_IN_USE");
    expect(await countAnswers(keyhole, owner, 1000)).toEqual({ owner: 1000 });
  });

  it("2: is out with the answer to ?exclusive=1, before the owner has started anything", async () => {
    const owner = makeEvmHolder();
    await using thief = await connect(await buyConfig(keyhole, owner, thiefsApp.port, 5));
    await answeredBy(keyhole, owner, "thief");
    const answer = await ask(keyhole, owner, { query: "?exclusive=1" });
    expect(answer.status).toBe(200);
    expect(await countAnswers(keyhole, owner, 200)).toEqual({ 503: 200 });
    await thief.saw("TOKEN_REVOKED");
  });
});

describe("the owner's own revocation", () => {
  it("6, 12: is acknowledged within a second; from then on no request is served, and no token of before is admitted", async () => {
    const owner = makeEvmHolder();
    const { older, newer } = await buyTwo(owner);
    await using client = await connect(newer);
    await answeredBy(keyhole, owner, "owner");
    const startedAt = performance.now();
    const answer = await ask(keyhole, owner, { purpose: "revoke" });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ enforced: true });
    expect(await countAnswers(keyhole, owner, 1000)).toEqual({ 503: 1000 });
    await client.saw("TOKEN_REVOKED");
    await using thief = startFrpcOn(keyhole, older);
    await thief.saw("TOKEN_REVOKED");
    // What the owner signed before it is worth nothing either; what is signed a second later is.
    expect(JSON.parse((await ask(keyhole, owner, { age: 3 })).body)).toMatchObject({ code: "TOKEN_REVOKED" });
    await using _again = await connect(await buyConfig(keyhole, owner, ownersApp.port, -2));
    await answeredBy(keyhole, owner, "owner");
  });

  it("5: spends its proof: whoever saw it cannot revoke again with it, nor buy a token", async () => {
    const owner = makeEvmHolder();
    const body = JSON.stringify(await prove(owner, "revoke", secondsFromNow()));
    const post = (path: string): Promise<Visit> =>
      visit(keyhole.edgePort, domain, { path, method: "POST", headers: { "content-type": "application/json" }, body });
    expect((await post("/v1/tunnel/revoke")).status).toBe(200);
    expect(JSON.parse((await post("/v1/tunnel/revoke")).body)).toMatchObject({ code: "PROOF_ALREADY_USED" });
    expect(JSON.parse((await post("/v1/tunnel/token")).body)).toMatchObject({ code: "SIGNER_MISMATCH" });
  });

  it("7, 12: with the plugin away is 202, and is enforced first when the plugin is back", async () => {
    await using parts = await startKeyholeParts();
    const owner = makeEvmHolder();
    const config = await buyConfig(parts, owner, ownersApp.port, 5);
    await using client = startFrpcOn(parts, config);
    await client.saw("start proxy success");
    await answeredBy(parts, owner, "owner");
    await parts.end("plugin", "SIGKILL");
    const answer = await ask(parts, owner, { purpose: "revoke" });
    expect(answer.status).toBe(202);
    expect(JSON.parse(answer.body)).toMatchObject({ enforced: false });
    await parts.start("plugin");
    await waitForFact("nobody serves any more", async () =>
      (await visit(parts.edgePort, `${owner.label}.${domain}`)).status === 503 ? true : undefined,
    );
    await client.saw("TOKEN_REVOKED");
    expect(await countAnswers(parts, owner, 200)).toEqual({ 503: 200 });
  });
});

describe("an Idempotency-Key", () => {
  const send = async (holder: EvmHolder, key: string, age: number, timestamp = secondsFromNow(-age)): Promise<Visit> => {
    const body = JSON.stringify(await prove(holder, "token", timestamp));
    const headers = { "content-type": "application/json", "idempotency-key": key };
    return await visit(keyhole.edgePort, domain, { path: "/v1/tunnel/token", method: "POST", headers, body });
  };

  it("5: gives a lost answer once more, and nothing else", async () => {
    const owner = makeEvmHolder();
    const key = randomUUID();
    const timestamp = secondsFromNow();
    const first = await send(owner, key, 0, timestamp);
    const again = await send(owner, key, 0, timestamp);
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(JSON.parse(again.body)).toEqual(JSON.parse(first.body));
    expect(JSON.parse((await send(owner, randomUUID(), 0, timestamp)).body)).toMatchObject({ code: "PROOF_ALREADY_USED" });
    const other = await send(owner, key, 3);
    expect([other.status, JSON.parse(other.body).code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
  });

  it("6: does not bring back what was revoked meanwhile", async () => {
    const owner = makeEvmHolder();
    const key = randomUUID();
    const timestamp = secondsFromNow();
    expect((await send(owner, key, 0, timestamp)).status).toBe(200);
    expect((await ask(keyhole, owner, { purpose: "revoke" })).status).toBe(200);
    expect(JSON.parse((await send(owner, key, 0, timestamp)).body)).toMatchObject({ code: "TOKEN_REVOKED" });
  });
});
