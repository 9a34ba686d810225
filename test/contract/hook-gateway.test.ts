/** Vana claims and the registry of servers: whose word is asked for, how long it is waited for, and what is no word at all. */
import type { Label } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EvmHolder, makeClaim, makeEvmHolder } from "../support/credentials.ts";
import { type GatewayStandIn, renderRegistered, startGatewayStandIn } from "../support/gateway-stand-in.ts";
import { type BenchClient, codeOf, type HookBench, loginContent, startHookBench, taking } from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let gateway: GatewayStandIn;
let bench: HookBench;
beforeEach(async () => {
  gateway = await startGatewayStandIn();
  bench = await startHookBench({ vana: { gatewayUrl: gateway.url } });
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

const owner = makeEvmHolder();
/** A server's own claim of an age in seconds, as the personal server signs it; or its owner's. */
async function logIn(server: EvmHolder, options: { readonly signer?: EvmHolder; readonly owner?: EvmHolder; readonly age?: number } = {}) {
  const iat = Math.floor(bench.now.getTime() / 1000) - (options.age ?? 0);
  const claim = { iat, exp: iat + 300 };
  const metas = await makeClaim(options.signer ?? server, { wallet: server.address, owner: (options.owner ?? owner).address, claim });
  return codeOf(await bench.call("Login", loginContent({ metas })));
}
/** Logs in as a client that serves. */
async function clientOf(server: EvmHolder, age: number): Promise<BenchClient> {
  const iat = Math.floor(bench.now.getTime() / 1000) - age;
  const metas = await makeClaim(server, { owner: owner.address, claim: { iat, exp: iat + 300 } });
  const user = (await bench.call("Login", loginContent({ metas }))).body.content as BenchClient["user"];
  const client = { label: server.label as Label, ticket: user.run_id, user };
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  return client;
}
const seconds = (count: number): void => {
  bench.now = new Date(bench.now.getTime() + count * 1000);
};
const registered = (server: EvmHolder): string =>
  JSON.stringify(renderRegistered({ serverAddress: server.address, ownerAddress: owner.address }));

describe("an owner that signs for a server", () => {
  it("1: is admitted when the registry says that it is his, in whatever letter case, and asks for it in EIP-55", async () => {
    const server = makeEvmHolder();
    gateway.register({ serverAddress: server.label, ownerAddress: owner.address.toUpperCase().replace("0X", "0x") });
    expect(await logIn(server, { signer: owner })).toBe("admitted");
    expect(gateway.asked).toEqual([server.address]);
  });

  it("1: is refused when it is another's, when nobody has registered it, and when it was revoked", async () => {
    const [others, unknown, revoked] = [makeEvmHolder(), makeEvmHolder(), makeEvmHolder()];
    gateway.register({ serverAddress: others.address, ownerAddress: makeEvmHolder().address });
    gateway.register({ serverAddress: revoked.address, ownerAddress: owner.address, revokedAt: "2026-03-01T00:00:00.000Z" });
    expect(await logIn(others, { signer: owner })).toBe("SERVER_NOT_REGISTERED");
    expect(await logIn(unknown, { signer: owner })).toBe("SERVER_NOT_REGISTERED");
    expect(await logIn(revoked, { signer: owner })).toBe("SERVER_REVOKED");
  });

  it("1: is refused where no registry is configured, or where it is down", async () => {
    await using alone = await startHookBench();
    const server = makeEvmHolder();
    const iat = Math.floor(alone.now.getTime() / 1000);
    const metas = await makeClaim(owner, { wallet: server.address, owner: owner.address, claim: { iat, exp: iat + 300 } });
    expect(codeOf(await alone.call("Login", loginContent({ metas })))).toBe("GATEWAY_UNAVAILABLE");
    gateway.answer = (response) => void response.destroy();
    expect(await logIn(server, { signer: owner })).toBe("GATEWAY_UNAVAILABLE");
  });
});

describe("a server that signs for itself", () => {
  it("is admitted when it is registered by its owner, when nobody knows it, and when the registry is down", async () => {
    const [known, unknown, unlucky] = [makeEvmHolder(), makeEvmHolder(), makeEvmHolder()];
    gateway.register({ serverAddress: known.address, ownerAddress: owner.address });
    expect(await logIn(known)).toBe("admitted");
    expect(await logIn(unknown)).toBe("admitted");
    gateway.answer = (response) => void response.destroy();
    expect(await logIn(unlucky)).toBe("admitted");
    expect(gateway.asked).toEqual([known.address, unknown.address, unlucky.address]);
  });

  it("1: is refused when its owner revoked it, or when it is another's server", async () => {
    const [revoked, others] = [makeEvmHolder(), makeEvmHolder()];
    gateway.register({ serverAddress: revoked.address, ownerAddress: owner.address, revokedAt: "2026-03-01T00:00:00.000Z" });
    gateway.register({ serverAddress: others.address, ownerAddress: makeEvmHolder().address });
    expect(await logIn(revoked)).toBe("SERVER_REVOKED");
    expect(await logIn(others)).toBe("SERVER_NOT_REGISTERED");
  });

  it("and is its own owner asks nobody, unless registration is required", async () => {
    const server = makeEvmHolder();
    expect(await logIn(server, { owner: server })).toBe("admitted");
    expect(gateway.asked).toEqual([]);
    await using strict = await startHookBench({ vana: { gatewayUrl: gateway.url, requireRegistration: true } });
    const iat = Math.floor(strict.now.getTime() / 1000);
    const metas = await makeClaim(server, { claim: { iat, exp: iat + 300 } });
    expect(codeOf(await strict.call("Login", loginContent({ metas })))).toBe("SERVER_NOT_REGISTERED");
    gateway.register({ serverAddress: server.address, ownerAddress: server.address });
    strict.now = new Date(strict.now.getTime() + 5000);
    expect(codeOf(await strict.call("Login", loginContent({ metas })))).toBe("admitted");
  });

  it("1: that names another wallet is refused before anybody is asked", async () => {
    const [thief, victim] = [makeEvmHolder(), makeEvmHolder()];
    gateway.register({ serverAddress: thief.address, ownerAddress: owner.address });
    expect(await logIn(victim, { signer: thief })).toBe("SIGNER_MISMATCH");
    expect(gateway.asked).toEqual([]);
  });
});

describe("an answer that is none", () => {
  const server = makeEvmHolder();
  it.each([
    ["a redirect", 302, { Location: "/v1/servers/elsewhere" }, ""],
    ["a page", 200, { "Content-Type": "text/html" }, "<html><body>Sign in</body></html>"],
    ["broken JSON", 200, {}, '{"data":{"ownerAddress":'],
    ["a list", 200, {}, "[]"],
    ["no data", 200, {}, '{"proof":{}}'],
    ["data of null", 200, {}, '{"data":null}'],
    ["no word on a revocation", 200, {}, registered(server).replace('"revokedAt":null', '"x":null')],
    ["an owner that is no address", 200, {}, registered(server).replace(owner.address, "0x1234")],
    ["another server", 200, {}, registered(makeEvmHolder())],
    ["two owners", 200, {}, registered(server).replace('"ownerAddress"', '"ownerAddress":"0x","ownerAddress"')],
    ["more than 64 KiB", 200, {}, `${registered(server)}${" ".repeat(70_000)}`],
    ["an error", 500, {}, '{"error":"Internal error"}'],
    ["nothing", 204, {}, ""],
  ] as const)("1: %s admits no owner of another wallet, and is followed nowhere", async (_what, status, headers, body) => {
    gateway.answer = (response) => void response.writeHead(status, headers).end(body);
    expect(await logIn(server, { signer: owner })).toBe("GATEWAY_UNAVAILABLE");
    expect(gateway.asked).toEqual([server.address]);
  });

  it("is an answer when it has 64 KiB, and in parts", async () => {
    gateway.answer = (response) => {
      const text = registered(server);
      response.write(text);
      response.end(" ".repeat(64 * 1024 - text.length));
    };
    expect(await logIn(server, { signer: owner })).toBe("admitted");
  });
});

describe("the time that it takes", () => {
  it("4: after 600 ms the login is refused for now; the look-up goes on, and the next login has its answer", async () => {
    const server = makeEvmHolder();
    gateway.answer = (response) => setTimeout(() => response.end(registered(server)), 900);
    const startedAt = performance.now();
    expect(await logIn(server, { signer: owner })).toBe("GATEWAY_PENDING");
    const took = performance.now() - startedAt;
    expect([took > 590, took < 935]).toEqual([true, true]);
    await waitForFact("the answer is there", async () => ((await logIn(server, { signer: owner })) === "admitted" ? true : undefined));
    expect(gateway.asked).toEqual([server.address]);
  });

  it("2, 4: leaves too little for a hand-over: nobody is displaced, and the next try has the answer at once", async () => {
    const server = makeEvmHolder();
    gateway.register({ serverAddress: server.address, ownerAddress: owner.address });
    const first = await clientOf(server, 5);
    seconds(61);
    gateway.answer = (response) => setTimeout(() => response.end(registered(server)), 550);
    // frps under load.
    bench.onKick = () => taking(400);
    expect(await logIn(server)).toBe("GATEWAY_PENDING");
    expect([bench.kicked, bench.plugin.stats().sessions, (await bench.plugin.readStatus(first.label)).status]).toEqual([
      [],
      1,
      "connected",
    ]);
    expect(await logIn(server)).toBe("admitted");
    expect(bench.kicked).toEqual([first.ticket]);
    expect(gateway.asked).toHaveLength(2);
    expect(bench.log.lines.join()).not.toContain("hook.fault");
  });

  it("4: after two seconds the look-up is given up", async () => {
    const server = makeEvmHolder();
    gateway.answer = gateway.hold;
    const startedAt = performance.now();
    expect(await logIn(server, { signer: owner })).toBe("GATEWAY_PENDING");
    const last = await waitForFact("the registry counts as down", async () => {
      const code = await logIn(server, { signer: owner });
      return code === "GATEWAY_PENDING" ? undefined : code;
    });
    expect([last, gateway.asked.length]).toEqual(["GATEWAY_UNAVAILABLE", 1]);
    const took = performance.now() - startedAt;
    expect([took > 1950, took < 3500]).toEqual([true, true]);
  });

  it("an address is asked about once at a time, however many logins wait for it", async () => {
    const server = makeEvmHolder();
    gateway.answer = gateway.hold;
    const logins = Array.from({ length: 20 }, () => logIn(server, { signer: owner }));
    await waitForFact("the question", () => (gateway.asked.length > 0 ? true : undefined));
    gateway.release();
    expect(new Set(await Promise.all(logins))).toEqual(new Set(["SERVER_NOT_REGISTERED"]));
    expect(gateway.asked).toEqual([server.address]);
  });

  it("a good answer counts for a minute, any other for five seconds", async () => {
    const [good, unknown] = [makeEvmHolder(), makeEvmHolder()];
    gateway.register({ serverAddress: good.address, ownerAddress: owner.address });
    const codes = [await logIn(good, { signer: owner }), await logIn(unknown, { signer: owner })];
    gateway.register({ serverAddress: good.address, ownerAddress: owner.address, revokedAt: "2026-03-01T00:00:00.000Z" });
    gateway.register({ serverAddress: unknown.address, ownerAddress: owner.address });
    seconds(4);
    codes.push(await logIn(good, { signer: owner }), await logIn(unknown, { signer: owner }));
    seconds(1);
    codes.push(await logIn(good, { signer: owner }), await logIn(unknown, { signer: owner }));
    seconds(55);
    codes.push(await logIn(good, { signer: owner }));
    expect(codes).toEqual([
      "admitted",
      "SERVER_NOT_REGISTERED",
      "admitted",
      "SERVER_NOT_REGISTERED",
      "admitted",
      "admitted",
      "SERVER_REVOKED",
    ]);
  });

  it("a registry that fails five times in a row is left alone for ten seconds, then asked once, and is back with one answer", async () => {
    gateway.answer = (response) => void response.destroy();
    expect(bench.plugin.stats().gateway).toBe("closed");
    for (let count = 0; count < 5; count += 1) expect(await logIn(makeEvmHolder(), { signer: owner })).toBe("GATEWAY_UNAVAILABLE");
    expect([bench.plugin.stats().gateway, gateway.asked.length]).toEqual(["open", 5]);
    expect(await logIn(makeEvmHolder(), { signer: owner })).toBe("GATEWAY_UNAVAILABLE");
    expect(await logIn(makeEvmHolder())).toBe("admitted");
    expect(gateway.asked).toHaveLength(5);
    seconds(10);
    expect(bench.plugin.stats().gateway).toBe("half-open");
    gateway.answer = undefined;
    expect(await logIn(makeEvmHolder(), { signer: owner })).toBe("SERVER_NOT_REGISTERED");
    expect([bench.plugin.stats().gateway, gateway.asked.length]).toEqual(["closed", 6]);
  });
});

it("9: neither a claim nor its signature is in any log line or refusal", async () => {
  gateway.answer = (response) => void response.destroy();
  const server = makeEvmHolder();
  const iat = Math.floor(bench.now.getTime() / 1000);
  const metas = await makeClaim(owner, { wallet: server.address, owner: owner.address, claim: { iat, exp: iat + 300 } });
  const { text } = await bench.call("Login", loginContent({ metas }));
  for (const secret of [metas.auth_sig, metas.auth_claim]) expect([bench.log.lines.join("\n"), text].join("\n")).not.toContain(secret);
  expect(bench.log.lines.join("\n")).toContain("gateway.failed");
});
