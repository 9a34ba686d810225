/** Limits as an operator has them, through the whole of Keyhole: who comes too often is told when to come back, and nobody else is. */
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EvmHolder, makeEvmHolder, prove, secondsFromNow } from "../support/credentials.ts";
import { connectClient, requestToken } from "../support/desktop-client.ts";
import { loginOf } from "../support/hostile-world.ts";
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { connectRaw } from "../support/raw-frp-client.ts";
import { type Visit, visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

const ask = async (port: number, body: unknown, headers: Record<string, string> = {}, path = "/v1/tunnel/token"): Promise<Visit> =>
  await visit(port, domain, {
    path,
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
const buy = async (port: number, holder: EvmHolder, age: number, headers: Record<string, string> = {}): Promise<Visit> =>
  await ask(port, await prove(holder, "token", secondsFromNow(-age)), headers);
const codeOf = ({ body }: Visit): string => String((JSON.parse(body) as Record<string, unknown>)["code"]);

describe("the token service", () => {
  let keyhole: KeyholeProcess;
  beforeAll(async () => {
    keyhole = await startKeyholeProcess({
      limits: { tokenRequestsPerMinute: 60, tokensPerMinute: 10, failedProofsPerMinute: 20 },
    });
  });
  afterAll(() => keyhole?.[Symbol.asyncDispose]());

  it("a network's 61st request in a minute waits, whatever it says about where it comes from, and a preflight is free", async () => {
    const answers: Visit[] = [];
    for (let count = 0; count < 60; count += 1) {
      answers.push(await ask(keyhole.edgePort, "{}", { "x-forwarded-for": `203.0.113.${count}`, "x-real-ip": "203.0.113.9" }));
    }
    expect(new Set(answers.map(codeOf))).toEqual(new Set(["WALLET_REQUIRED"]));
    const spoofed = [
      { "x-forwarded-for": "198.51.100.1" },
      { forwarded: "for=198.51.100.2" },
      { "x-keyhole-edge": "guessed", "x-forwarded-for": "198.51.100.3" },
      { "cf-connecting-ip": "198.51.100.4" },
    ];
    for (const headers of spoofed) {
      const answer = await ask(keyhole.edgePort, "{}", headers as Record<string, string>);
      expect([answer.status, codeOf(answer)]).toEqual([429, "RATE_LIMITED"]);
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
      expect(answer.headers["ratelimit"]).toContain('"address";r=0');
      expect(answer.headers["ratelimit-policy"]).toContain('"address";q=60;w=60');
    }
    // Past the edge as well: on loopback nobody is believed without its password.
    const direct = await ask(Number(new URL(keyhole.ready.urls.token).port), "{}", { "x-forwarded-for": "198.51.100.5" });
    expect(direct.status).toBe(429);
    expect((await visit(keyhole.edgePort, domain, { path: "/v1/tunnel/token", method: "OPTIONS" })).status).toBe(204);
  });
});

describe("a wallet and a network that fails", () => {
  let keyhole: KeyholeProcess;
  beforeAll(async () => {
    keyhole = await startKeyholeProcess({ limits: { tokensPerMinute: 2, failedProofsPerMinute: 5 } });
  });
  afterAll(() => keyhole?.[Symbol.asyncDispose]());

  it("a wallet's third token waits; the refused proof is not spent, and another wallet's is served", async () => {
    const [holder, other] = [makeEvmHolder(), makeEvmHolder()];
    for (const age of [30, 20]) expect((await buy(keyhole.edgePort, holder, age)).status).toBe(200);
    const third = await buy(keyhole.edgePort, holder, 10);
    expect([third.status, codeOf(third)]).toEqual([429, "RATE_LIMITED"]);
    expect((await buy(keyhole.edgePort, other, 0)).status).toBe(200);
    const revoked = await ask(keyhole.edgePort, await prove(holder, "revoke", secondsFromNow(-10)), {}, "/v1/tunnel/revoke");
    expect(revoked.status).toBe(200);
  });

  it("after five signatures that were nobody's the next ones of that network are not looked at", async () => {
    const [holder, victim] = [makeEvmHolder(), makeEvmHolder()];
    const forge = async (): Promise<Visit> =>
      await ask(keyhole.edgePort, { ...(await prove(holder, "token", secondsFromNow())), walletAddress: victim.address });
    for (let count = 0; count < 5; count += 1) expect(codeOf(await forge())).toBe("SIGNER_MISMATCH");
    expect(codeOf(await forge())).toBe("RATE_LIMITED");
  });
});

describe("port 7000", () => {
  it("4: a sixth connection of one address is closed before TLS, and another address logs in meanwhile", async () => {
    await using keyhole = await startKeyholeProcess({ limits: { connectionsPerAddress: 5 } });
    const sockets: Socket[] = [];
    const open = (localAddress: string): Socket => {
      const socket = connect({ port: keyhole.controlPort, host: "127.0.0.1", localAddress });
      socket.on("error", () => {});
      sockets.push(socket);
      return socket;
    };
    try {
      for (let count = 0; count < 5; count += 1) await new Promise((resolve) => open("127.0.0.9").once("connect", resolve));
      const startedAt = performance.now();
      await new Promise((resolve) => open("127.0.0.9").resume().once("close", resolve));
      expect(performance.now() - startedAt).toBeLessThan(1000);
      await using app = await startLocalApp("app");
      await using _client = await connectClient(keyhole, makeWallet(), app.port);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it("2: a wallet that logs in too often is told when to come back, and others log in meanwhile", async () => {
    await using keyhole = await startKeyholeProcess({ limits: { loginsPerIdentityPerMinute: 3 } });
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    const { token } = await requestToken(keyhole, wallet);
    using serving = await connectRaw({ port: keyhole.controlPort });
    const { run_id: ticket } = await serving.login(loginOf(token));
    serving.serve(String(ticket), app.port);
    expect(await serving.newProxy({ proxy_name: `${wallet.label}.app`, proxy_type: "http", subdomain: wallet.label })).toBe("");
    await waitForFact("it serves", async () =>
      (await visit(keyhole.edgePort, `${wallet.label}.${domain}`)).body === "app" ? true : undefined,
    );
    const answers: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      using client = await connectRaw({ port: keyhole.controlPort });
      // Its own ticket does not exempt it, and pushes nobody out once it is refused.
      answers.push(String((await client.login(loginOf(token, { run_id: ticket })))["error"] ?? "admitted"));
    }
    expect(answers.at(-1)).toMatch(/^RATE_LIMITED: .*retryAfterSeconds: \d+/);
    using other = await connectRaw({ port: keyhole.controlPort });
    expect(await other.login(loginOf((await requestToken(keyhole, makeWallet())).token))).not.toHaveProperty("error");
  });
});
