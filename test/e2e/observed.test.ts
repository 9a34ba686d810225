/** What an operator sees of a running Keyhole without asking anybody: the metrics' page and the lines of the log. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeStellarHolder, makeStellarJwt } from "../support/credentials.ts";
import { connectClient, startFrpcOn } from "../support/desktop-client.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { hostOf } from "../support/served-by.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

let keyhole: KeyholeProcess;
beforeAll(async () => {
  keyhole = await startKeyholeProcess();
});
afterAll(() => keyhole[Symbol.asyncDispose]());

const readMetrics = async (): Promise<string> => await (await fetch(`${keyhole.ready.urls.metrics}/metrics`)).text();
/** A figure of the page; undefined when it is not there. */
const figureOf = (page: string, series: string): number | undefined => {
  const line = page.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

it("the metrics tell a token, a tunnel, a visit and its end, and nobody's name", async () => {
  const wallet = makeWallet();
  await using app = await startLocalApp("app");
  {
    await using _client = await connectClient(keyhole, wallet, app.port);
    expect((await visit(keyhole.edgePort, hostOf(wallet), { method: "POST", body: "12345" })).body).toBe("app");
    const page = await readMetrics();
    const figures: Readonly<Record<string, number>> = {
      keyhole_frps_up: 1,
      keyhole_frps_restarts_total: 0,
      keyhole_sessions: 1,
      keyhole_tunnels: 1,
      'keyhole_session_starts_total{kind="hmac",mode="new",result="admitted"}': 1,
      'keyhole_plugin_requests_total{op="Login",result="replace"}': 1,
      'keyhole_plugin_duration_seconds_count{op="NewProxy"}': 1,
      'keyhole_signature_verifications_total{scheme="eip191",result="valid"}': 1,
      'keyhole_signature_verifications_total{scheme="hmac",result="valid"}': 1,
      'keyhole_token_answers_total{code="OK"}': 1,
      'keyhole_store_commit_failures_total{file="tokens"}': 0,
      'keyhole_edge_requests_total{class="tunnel",outcome="proxied"}': 1,
      'keyhole_edge_requests_total{class="service",outcome="proxied"}': 1,
      keyhole_edge_overhead_seconds_count: 2,
      keyhole_edge_first_byte_seconds_count: 2,
    };
    expect(Object.fromEntries(Object.keys(figures).map((series) => [series, figureOf(page, series)]))).toEqual(figures);
    expect(figureOf(page, 'keyhole_edge_bytes_total{direction="in"}')).toBeGreaterThan(5);
    expect(figureOf(page, 'keyhole_store_commit_seconds_count{file="tokens"}')).toBeGreaterThan(0);
    expect(figureOf(page, 'keyhole_edge_control_bytes_total{direction="in"}')).toBeGreaterThan(100);
    expect(figureOf(page, "keyhole_nodejs_eventloop_lag_p99_seconds")).toBeGreaterThanOrEqual(0);
    expect(page).not.toMatch(/0x[0-9a-f]{4}|\d+\.\d+\.\d+\.\d+/i);
  }
  const ended = 'keyhole_session_ends_total{how="closed"}';
  await waitForFact("the end is counted", async () => (figureOf(await readMetrics(), ended) === 1 ? true : undefined), {
    timeoutMs: 15_000,
  });
});

it("the metrics say that a restart is due once the configuration's file says something else, or nothing that a start would take", async () => {
  const file = join(keyhole.dir, "keyhole.toml");
  const text = readFileSync(file, "utf8");
  const told = async (content: string): Promise<number | undefined> => {
    writeFileSync(file, content);
    return figureOf(await readMetrics(), "keyhole_config_restart_required");
  };
  expect([
    await told(text),
    await told(`${text}\n# a comment changes nothing\n`),
    await told(`${text}\n[vana]\nrequireRegistration = false\n`),
    await told(`${text}\n[vana]\naudience = "https://another.example"\n`),
    await told(`${text}\nnonsense = 1\n`),
    await told(text),
  ]).toEqual([0, 0, 0, 1, 1, 0]);
});

it("a Stellar account's tunnel is a line of JSON with the names that HVYM's operators know, at info", async () => {
  const account = makeStellarHolder();
  const audience = readFileSync(join(keyhole.stateDir, "keys/stellar-server/address"), "utf8").trim();
  await using app = await startLocalApp("app");
  const config = `serverAddr = "127.0.0.1"
serverPort = ${keyhole.controlPort}
loginFailExit = true
user = "${account.label}"
metadatas.jwt = "${makeStellarJwt(account, audience)}"
[[proxies]]
name = "app"
type = "http"
localPort = ${app.port}
subdomain = "${account.label}"
`;
  await using client = startFrpcOn(keyhole, config);
  await client.saw("start proxy success");
  const line = await waitForFact("the line", () =>
    keyhole
      .output()
      .split("\n")
      .find((each) => each.includes('"event":"tunnel_connected"')),
  );
  expect(JSON.parse(line)).toEqual({
    level: "info",
    ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    component: "plugin",
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    event: "tunnel_connected",
    stellar_address: account.address,
    endpoint: `http://${account.label}.${domain}:${keyhole.edgePort}`,
    services: ["pintheon"],
    msg: "a Stellar account's tunnel is connected",
  });
});
