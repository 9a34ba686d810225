/** A tunnel JWT in a file that stock frpc reads at every login (auth.method "oidc"): a desktop app renews a file, not a process. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type EvmHolder, makeEvmHolder, makeStellarHolder, prove, type StellarHolder, secondsFromNow } from "../support/credentials.ts";
import { startFrpcOn } from "../support/desktop-client.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { type Visit, visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let keyhole: KeyholeProcess;
beforeAll(async () => {
  keyhole = await startKeyholeProcess();
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

async function buy(holder: EvmHolder | StellarHolder, query: string, age: number, accept = "application/json"): Promise<Visit> {
  const body = JSON.stringify({ ...(await prove(holder, "token", secondsFromNow(-age))), tokenType: "jwt" });
  const headers = { "content-type": "application/json", accept };
  const answer = await visit(keyhole.edgePort, domain, { path: `/v1/tunnel/token${query}`, method: "POST", headers, body });
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.body}`);
  return answer;
}
const tokenOf = (answer: Visit): string => String((JSON.parse(answer.body) as Record<string, unknown>)["token"]);

const servedBy = ({ label }: EvmHolder | StellarHolder, name: string): Promise<true> =>
  waitForFact(`${name} serves`, async () => ((await visit(keyhole.edgePort, `${label}.${domain}`)).body === name ? true : undefined), {
    timeoutMs: 25_000,
  });

it("2: is read again at every login: with a newer token in the file frpc is back by itself after its first one was revoked", async () => {
  await using app = await startLocalApp("app");
  const holder = makeEvmHolder();
  const file = join(keyhole.dir, "token");
  const config = await buy(holder, `?port=${app.port}&tokenFile=${encodeURIComponent(file)}`, 5, "application/toml");
  expect(config.body).toContain('method = "oidc"');
  expect(config.body).not.toMatch(/eyJ/);
  writeFileSync(file, `${tokenOf(await buy(holder, "", 4))}\n`, { mode: 0o600 });
  await using client = startFrpcOn(keyhole, config.body);
  await client.saw("start proxy success");
  await servedBy(holder, "app");
  client.mark();
  const newer = tokenOf(await buy(holder, "?exclusive=1", 3));
  writeFileSync(file, newer, { mode: 0o600 });
  await client.saw("start proxy success", 30_000);
  await servedBy(holder, "app");
});

it("is verified by anybody who has the published keys", async () => {
  const holder = makeStellarHolder();
  const token = tokenOf(await buy(holder, "", 0));
  const keys = JSON.parse((await visit(keyhole.edgePort, domain, { path: "/.well-known/jwks.json" })).body) as Parameters<
    typeof createLocalJWKSet
  >[0];
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
    typ: "keyhole-tunnel+jwt",
    algorithms: ["EdDSA"],
    subject: holder.label,
  });
  expect(payload).toMatchObject({ sub: holder.label, subdomain: holder.label });
});

it("goes into metadatas.token as well, for a Stellar account too", async () => {
  await using app = await startLocalApp("app");
  const holder = makeStellarHolder();
  const config = await buy(holder, `?port=${app.port}`, 0, "application/toml");
  await using client = startFrpcOn(keyhole, config.body);
  await client.saw("start proxy success");
  await servedBy(holder, "app");
});
