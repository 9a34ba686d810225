/** The personal server as it is, with stock frpc: it asks nobody for a token, and restarts frpc with a new claim every 240 s. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClaimMetas, type EvmHolder, makeClaim, makeEvmHolder, secondsFromNow } from "../support/credentials.ts";
import { type DesktopClient, startFrpcOn } from "../support/desktop-client.ts";
import { type GatewayStandIn, startGatewayStandIn } from "../support/gateway-stand-in.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { renderPersonalServerConfig } from "../support/personal-server.ts";
import { startVisiting, visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let keyhole: KeyholeProcess;
let gateway: GatewayStandIn;
let app: LocalApp;
beforeAll(async () => {
  app = await startLocalApp("personal server");
  gateway = await startGatewayStandIn();
  keyhole = await startKeyholeProcess({ settings: `vana.gatewayUrl = "${gateway.url}"` });
});
afterAll(async () => {
  await keyhole?.[Symbol.asyncDispose]();
  await gateway?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

const configOf = (metas: ClaimMetas, changes: { readonly name?: string; readonly port?: number } = {}): string =>
  renderPersonalServerConfig({
    serverAddr: "127.0.0.1",
    serverPort: keyhole.controlPort,
    metas,
    localPort: changes.port ?? app.port,
    ...(changes.name === undefined ? {} : { name: changes.name }),
  });

async function connect(metas: ClaimMetas, port?: number): Promise<DesktopClient> {
  const client = startFrpcOn(keyhole, configOf(metas, port === undefined ? {} : { port }));
  // What the personal server itself looks for in frpc's log.
  await client.saw("start proxy success");
  return client;
}

const servedBy = ({ label }: EvmHolder, name: string): Promise<true> =>
  waitForFact(`${name} serves`, async () => ((await visit(keyhole.edgePort, `${label}.${domain}`)).body === name ? true : undefined), {
    timeoutMs: 25_000,
  });

it("a frpc.toml with exactly its keys connects and serves", async () => {
  const wallet = makeEvmHolder();
  await using _client = await connect(await makeClaim(wallet));
  await servedBy(wallet, "personal server");
});

it("2: ten refreshes under twenty requests a second cost no visitor anything", async () => {
  const wallet = makeEvmHolder();
  const runId = "cdb53304-9330-440a-9074-9b6a838ebcc0";
  const claim = (): Promise<ClaimMetas> => makeClaim(wallet, { claim: { runId }, metas: { run_id: runId } });
  let client = await connect(await claim());
  await servedBy(wallet, "personal server");
  const load = startVisiting(keyhole.edgePort, `${wallet.label}.${domain}`, { everyMs: 50, paths: ["/?ms=1", "/?ms=60", "/?ms=190"] });
  for (let refresh = 0; refresh < 10; refresh += 1) {
    const metas = await claim();
    await client.end("SIGTERM");
    client = await connect(metas);
    const wanted = load.visits.length + 10;
    await waitForFact("ten more visits", () => (load.visits.length >= wanted ? true : undefined));
  }
  await load.stop();
  await client.end("SIGTERM");
  const failures = load.visits.filter((one) => one instanceof Error || one.status !== 200);
  expect(failures.map((one) => (one instanceof Error ? one.message : `${one.status} ${one.body.slice(0, 200)}`))).toEqual([]);
  expect(load.visits.length).toBeGreaterThan(100);
});

describe("its proxy's name", () => {
  it("1: ps- and eight hexadecimal digits is admitted", async () => {
    const wallet = makeEvmHolder();
    await using client = startFrpcOn(keyhole, configOf(await makeClaim(wallet), { name: "ps-0a1b2c3d" }));
    await client.saw("start proxy success");
    await servedBy(wallet, "personal server");
  });

  it("1, 13: the name that all of them once had is refused, with the line to change", async () => {
    const wallet = makeEvmHolder();
    await using client = startFrpcOn(keyhole, configOf(await makeClaim(wallet), { name: "personal-server" }));
    await client.saw("start error: ");
    await client.saw("PROXY_NAME_SHARED");
    await client.saw('Set name = "personal-server-<wallet in lower case>"');
  });
});

describe("a frpc that its server left behind", () => {
  it("2: loses to its successor, and does not come back when that one is gone, until a third takes the place", async () => {
    await using old = await startLocalApp("old");
    const wallet = makeEvmHolder();
    await using orphan = await connect(
      await makeClaim(wallet, { claim: { iat: secondsFromNow(-20), exp: secondsFromNow(280) } }),
      old.port,
    );
    await servedBy(wallet, "old");
    const successor = await connect(await makeClaim(wallet));
    await servedBy(wallet, "personal server");
    await successor.end("SIGTERM");
    await orphan.saw("CREDENTIAL_OUTDATED", 30_000);
    expect((await visit(keyhole.edgePort, `${wallet.label}.${domain}`)).status).toBe(503);
    await using _third = await connect(await makeClaim(wallet));
    await servedBy(wallet, "personal server");
  });

  it("is told in the words that its launcher looks for when its claim has ended", async () => {
    const wallet = makeEvmHolder();
    await using client = startFrpcOn(
      keyhole,
      configOf(await makeClaim(wallet, { claim: { iat: secondsFromNow(-361), exp: secondsFromNow(-61) } })),
    );
    await client.saw("Token expired");
  });
});

describe("the registry of servers", () => {
  it("2: an owner's own key serves a server's address only if the registry says that the server is his", async () => {
    const [owner, server, stranger] = [makeEvmHolder(), makeEvmHolder(), makeEvmHolder()];
    gateway.register({ serverAddress: server.address, ownerAddress: owner.address });
    await using _client = await connect(await makeClaim(owner, { wallet: server.address, owner: owner.address }));
    await servedBy(server, "personal server");
    await using thief = startFrpcOn(keyhole, configOf(await makeClaim(stranger, { wallet: server.address, owner: stranger.address })));
    await thief.saw("Signer is not a registered server");
    await servedBy(server, "personal server");
  });

  it("2: a registered server of one owner cannot name another's wallet", async () => {
    const [owner, server, victim] = [makeEvmHolder(), makeEvmHolder(), makeEvmHolder()];
    gateway.register({ serverAddress: server.address, ownerAddress: owner.address });
    await using thief = startFrpcOn(keyhole, configOf(await makeClaim(server, { wallet: victim.address, owner: owner.address })));
    await thief.saw("SIGNER_MISMATCH");
    expect((await visit(keyhole.edgePort, `${victim.label}.${domain}`)).status).toBe(503);
  });
});
