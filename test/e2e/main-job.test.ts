import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { connectClient, requestClientConfig, requestToken, startFrpcOn } from "../support/desktop-client.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { hostOf } from "../support/served-by.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet, type Wallet } from "../support/wallet.ts";

let keyhole: KeyholeProcess;
beforeAll(async () => {
  keyhole = await startKeyholeProcess();
});
afterAll(() => keyhole[Symbol.asyncDispose]());

const statusOf = async (wallet: Wallet): Promise<Record<string, unknown>> =>
  JSON.parse((await visit(keyhole.edgePort, domain, { path: `/v1/tunnel/status/${wallet.address}` })).body) as Record<string, unknown>;

const linesOf = (running: KeyholeProcess): readonly Record<string, unknown>[] =>
  running
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** The status is true within two seconds of frps knowing. */
const untilReported = (wallet: Wallet, status: string): Promise<Record<string, unknown>> =>
  waitForFact(
    `the status says ${status}`,
    async () => {
      const told = await statusOf(wallet);
      return told["status"] === status ? told : undefined;
    },
    { timeoutMs: 2000 },
  );

/** From now until the address answers with this status, in ms. */
async function untilStatus(wallet: Wallet, status: number, timeoutMs: number): Promise<number> {
  const startedAt = performance.now();
  let last = 0;
  const ask = async (): Promise<true | undefined> => {
    last = (await visit(keyhole.edgePort, hostOf(wallet))).status;
    return last === status ? true : undefined;
  };
  await waitForFact(`${status} at the address`, ask, { timeoutMs, describe: () => String(last) });
  return performance.now() - startedAt;
}

describe("the main job", () => {
  it("a wallet signs, gets a frpc.toml, runs stock frpc, and its address serves the local app", async () => {
    await using app = await startLocalApp("alice's app");
    const wallet = makeWallet();
    expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(503);
    expect(await statusOf(wallet)).toMatchObject({ walletAddress: wallet.address, status: "disconnected", lastSeen: null });

    await using client = await connectClient(keyhole, wallet, app.port);
    const answer = await visit(keyhole.edgePort, hostOf(wallet));
    expect([answer.status, answer.body, answer.headers["x-app"]]).toEqual([200, "alice's app", "alice's app"]);
    expect(answer.headers["x-keyhole-app"]).toBeUndefined();
    expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    const status = await untilReported(wallet, "connected");
    expect(status).toMatchObject({
      status: "connected",
      routable: true,
      stale: false,
      tunnelUrl: `http://${hostOf(wallet)}:${keyhole.edgePort}`,
    });
    expect(Date.parse(String(status["connectedSince"]))).toBeGreaterThan(Date.now() - 60_000);
    expect(client.output()).not.toContain("error");
    // The hook's line has the id under which frps wrote about the same call, and one of our own.
    const line = linesOf(keyhole).find(({ event, label }) => event === "login.admitted" && label === wallet.label);
    expect(line).toMatchObject({
      requestId: expect.stringMatching(/^[0-9a-f]{16}$/),
      frpRequestId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(line?.["requestId"]).not.toBe(line?.["frpRequestId"]);
  });

  it("the JSON answer holds the public API's five fields and everything that a client needs", async () => {
    const wallet = makeWallet();
    const grant = await requestToken(keyhole, wallet);
    expect(grant).toMatchObject({
      subdomain: wallet.label,
      serverAddr: "127.0.0.1",
      serverPort: keyhole.controlPort,
      tokenType: "hmac",
      tunnelUrl: `http://${hostOf(wallet)}:${keyhole.edgePort}`,
    });
    expect(grant.token).toMatch(/^frp_[A-Za-z0-9]+_[0-9]+_[0-9a-f]{64}$/);
    expect(Date.parse(String(grant["expiresAt"])) - Date.now()).toBeGreaterThan(86_000_000);
    expect(grant["transports"]).toMatchObject([
      { protocol: "tcp", port: keyhole.controlPort, ca: expect.stringContaining("BEGIN CERTIFICATE") },
    ]);
    const config = parse(await requestClientConfig(keyhole, wallet, 8080)) as Record<string, unknown>;
    expect(config).toMatchObject({
      user: wallet.label,
      loginFailExit: false,
      transport: { tcpMuxKeepaliveInterval: 5, tls: { trustedCaFile: "frpc.toml" } },
    });
    expect(config["auth"]).toBeUndefined();
  });

  it("1: two wallets at once each serve their own address and nothing else", async () => {
    await using first = await startLocalApp("first");
    await using second = await startLocalApp("second");
    const [one, two] = [makeWallet(), makeWallet()];
    await using _first = await connectClient(keyhole, one, first.port);
    await using _second = await connectClient(keyhole, two, second.port);
    const bodies = await Promise.all(
      Array.from({ length: 40 }, (_, index) => visit(keyhole.edgePort, hostOf(index % 2 === 0 ? one : two)).then(({ body }) => body)),
    );
    expect(bodies).toEqual(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? "first" : "second")));
  });

  it.each(["SIGTERM", "SIGKILL"] as const)(
    "11: offline after %s within a second of the hold, and back with the same file",
    async (signal) => {
      await using app = await startLocalApp("app");
      const wallet = makeWallet();
      const text = await requestClientConfig(keyhole, wallet, app.port);
      await using client = startFrpcOn(keyhole, text);
      await client.saw("start proxy success");
      await untilStatus(wallet, 200, 5000);
      await client.end(signal);
      expect(await untilStatus(wallet, 503, 5000)).toBeLessThan(2500);
      const offline = await visit(keyhole.edgePort, hostOf(wallet));
      expect([offline.headers["content-type"], offline.headers["retry-after"], JSON.parse(offline.body).code]).toEqual([
        "application/problem+json",
        expect.stringMatching(/^\d+$/),
        "TUNNEL_OFFLINE",
      ]);
      expect((await visit(keyhole.edgePort, hostOf(wallet), { headers: { accept: "text/html" } })).headers["content-type"]).toContain(
        "text/html",
      );
      expect(await untilReported(wallet, "disconnected")).toMatchObject({ lastSeen: expect.stringMatching(/:00:00/) });
      await using _again = startFrpcOn(keyhole, text);
      await untilStatus(wallet, 200, 5000);
      await untilReported(wallet, "connected");
    },
  );

  it("11: a frozen client is offline within 15 s, and back when it thaws", async () => {
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    await using client = await connectClient(keyhole, wallet, app.port);
    await untilStatus(wallet, 200, 5000);
    client.signal("SIGSTOP");
    const startedAt = performance.now();
    await waitForFact(
      "503 for a frozen client",
      async () =>
        (await visit(keyhole.edgePort, hostOf(wallet), { timeoutMs: 1000 }).catch(() => undefined))?.status === 503 ? true : undefined,
      { timeoutMs: 20_000 },
    );
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    await untilReported(wallet, "disconnected");
    client.signal("SIGCONT");
    await untilStatus(wallet, 200, 15_000);
    await untilReported(wallet, "connected");
  });

  it("an app that is down is 502 with the remedy, and one that never answers is 504", async () => {
    await using slow = await startKeyholeProcess({ settings: "edge.appTimeoutSeconds = 1" });
    await using app = await startLocalApp("silent", () => {});
    const wallet = makeWallet();
    await using _client = await connectClient(slow, wallet, app.port);
    const silent = await visit(slow.edgePort, hostOf(wallet));
    expect([silent.status, JSON.parse(silent.body).code]).toEqual([504, "APP_TIMEOUT"]);
    await app[Symbol.asyncDispose]();
    await waitForFact("502", async () => ((await visit(slow.edgePort, hostOf(wallet))).status === 502 ? true : undefined));
    const down = await visit(slow.edgePort, hostOf(wallet), { method: "POST", body: "x".repeat(100_000) });
    expect([down.status, JSON.parse(down.body).code]).toEqual([502, "APP_UNREACHABLE"]);
    expect(down.body).not.toContain("fatedier");
  });

  it("WebSockets, server-sent events and large bodies pass both ways", async () => {
    let endStream = (): void => {};
    await using app = await startLocalApp("streams", (incoming, response) => {
      if (incoming.url === "/events") {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("data: 1\n\n");
        endStream = () => response.end("data: 2\n\n");
        return;
      }
      response.writeHead(200, { "content-type": "application/octet-stream" });
      incoming.pipe(response);
    });
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    sockets.on("connection", (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })));
    const [wallet, second] = [makeWallet(), makeWallet()];
    await using _client = await connectClient(keyhole, wallet, app.port);
    await using _sockets = await connectClient(keyhole, second, (sockets.address() as { port: number }).port);

    const large = Buffer.alloc(20_000_000, "keyhole");
    const echoed = await visit(keyhole.edgePort, hostOf(wallet), { method: "POST", body: large });
    expect(echoed.body.length).toBe(large.length);

    const firstEvent = await new Promise<string>((resolve, reject) => {
      const stream = request(
        { host: "127.0.0.1", port: keyhole.edgePort, path: "/events", headers: { host: hostOf(wallet) } },
        (response) => {
          response.once("data", (chunk) => {
            endStream();
            response.resume();
            resolve(String(chunk));
          });
        },
      );
      stream.on("error", reject);
      stream.end();
    });
    expect(firstEvent).toBe("data: 1\n\n");

    const socket = new WebSocket(`ws://127.0.0.1:${keyhole.edgePort}/`, { headers: { host: hostOf(second) } });
    const answer = await new Promise<string>((resolve, reject) => {
      socket.on("open", () => socket.send("hello"));
      socket.on("message", (data) => resolve(String(data)));
      socket.on("error", reject);
    });
    expect(answer).toBe("hello");
    socket.terminate();
    sockets.close();
  });
});

describe("who is told what", () => {
  it("13: the public API's own template, with the token in auth.token, is told which line to change", async () => {
    const wallet = makeWallet();
    const { token } = await requestToken(keyhole, wallet);
    await using client = startFrpcOn(
      keyhole,
      `serverAddr = "127.0.0.1"\nserverPort = ${keyhole.controlPort}\nauth.method = "token"\nauth.token = "${token}"\ntransport.tls.enable = true\nlog.level = "info"\n\n[[proxies]]\nname = "personal-server"\ntype = "http"\nlocalIP = "127.0.0.1"\nlocalPort = 8080\nsubdomain = "${wallet.label}"\n`,
    );
    await client.saw("Delete auth.token and put the token in metadatas.token");
    expect(client.output()).not.toContain("login to server success");
  });

  it("1: a client that asks for another wallet's address is refused", async () => {
    const [mine, other] = [makeWallet(), makeWallet()];
    const text = (await requestClientConfig(keyhole, mine, 9)).replace(`subdomain = "${mine.label}"`, `subdomain = "${other.label}"`);
    await using client = startFrpcOn(keyhole, text);
    await client.saw("SUBDOMAIN_NOT_OWNED");
    expect((await visit(keyhole.edgePort, hostOf(other))).status).toBe(503);
  });

  it("5: a proof that is sent twice buys one token", async () => {
    const proof = makeWallet().prove(Math.floor(Date.now() / 1000));
    const send = () =>
      visit(keyhole.edgePort, domain, {
        path: "/v1/tunnel/token",
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(proof),
      });
    const answers = await Promise.all([send(), send(), send()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
    expect(JSON.parse(answers.find(({ status }) => status === 400)?.body ?? "{}")).toMatchObject({
      error: "INVALID_TIMESTAMP",
      code: "PROOF_ALREADY_USED",
    });
  });

  it("10: port 7000 takes TLS only, and everything but the public ports is on loopback", async () => {
    const plain = await new Promise<string>((resolve) => {
      const socket = request({ host: "127.0.0.1", port: keyhole.controlPort }, () => resolve("answered"));
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "closed"));
      socket.end();
    });
    expect(plain).not.toBe("answered");
    const ports = JSON.parse(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")) as { ports: Record<string, number> };
    const listening = readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === "0A")
      .map((fields) => fields[1]?.split(":") ?? []);
    for (const [key, port] of Object.entries(ports.ports)) {
      const addresses = listening.filter(([, hex]) => Number.parseInt(hex ?? "", 16) === port).map(([address]) => address);
      expect([key, addresses]).toEqual([key, ["0100007F"]]);
    }
  });

  it("9: nothing secret is in what Keyhole printed or in what frps logs to us", async () => {
    const wallet = makeWallet();
    await using app = await startLocalApp("app");
    const text = await requestClientConfig(keyhole, wallet, app.port);
    await using client = startFrpcOn(keyhole, text);
    await client.saw("start proxy success");
    const token = (parse(text) as { metadatas: { token: string } }).metadatas.token;
    const ticket = /get run id \[([\w-]{63})\]/.exec(client.output())?.[1] ?? "no ticket";
    const { hookPassword, dashboardPassword } = JSON.parse(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")) as Record<
      string,
      string
    >;
    await waitForFact("frps's lines are in our log", () => (keyhole.output().includes(`[${wallet.label}.app]`) ? true : undefined));
    for (const secret of [token, token.slice(-64), ticket, hookPassword, dashboardPassword]) {
      expect(String(secret).length).toBeGreaterThan(30);
      expect(keyhole.output()).not.toContain(secret);
    }
  });
});
