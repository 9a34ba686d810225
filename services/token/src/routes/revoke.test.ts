import { Fault, printTunnelMessage } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { createAppForTests } from "../app-for-tests.ts";
import { problemSchema, revocationSchema } from "../openapi-schemas.ts";

const refusalOf = async (answer: Response) => problemSchema.parse(await answer.json());

describe("POST /v1/tunnel/revoke", () => {
  it("12: ends everything older, is durable first, and is acknowledged when it is enforced", async () => {
    const world = createAppForTests();
    await world.post(await world.sign());
    const answer = await world.revoke(await world.sign(undefined, undefined, "revoke"));
    expect(answer.status).toBe(200);
    const told = revocationSchema.parse(await answer.json());
    expect(told).toEqual({ revoked: true, walletAddress: world.address, notBefore: "2026-02-04T10:30:16Z", enforced: true });
    expect(await world.store.notBefore(world.label)).toEqual(new Date(told.notBefore));
    expect(world.told).toEqual([world.label]);
  });

  it("12: with the plugin down it is 202 and says so", async () => {
    const world = createAppForTests();
    world.plugin = "pending";
    const answer = await world.revoke(await world.sign(undefined, undefined, "revoke"));
    expect(answer.status).toBe(202);
    expect(revocationSchema.parse(await answer.json()).enforced).toBe(false);
    expect(await world.store.notBefore(world.label)).toBeDefined();
  });

  it("takes a Stellar account's signature over its own text", async () => {
    const world = createAppForTests();
    const answer = await world.revoke(world.stellar.sign(undefined, "revoke"));
    expect(revocationSchema.parse(await answer.json()).walletAddress).toBe(world.stellar.account);
    expect(world.told).toEqual([world.stellar.label]);
  });

  it("5: a proof for one thing is none for the other, and each is spent once", async () => {
    const world = createAppForTests();
    const forToken = await world.sign();
    const forRevoke = await world.sign(undefined, undefined, "revoke");
    expect((await refusalOf(await world.revoke(forToken))).code).toBe("SIGNER_MISMATCH");
    const mismatch = await refusalOf(await world.post(forRevoke));
    expect(mismatch).toMatchObject({ code: "SIGNER_MISMATCH", expectedMessage: printTunnelMessage(forToken, "Vana Personal Server") });
    expect((await world.post(forToken)).status).toBe(200);
    expect((await world.revoke(forRevoke)).status).toBe(200);
    expect(await refusalOf(await world.revoke(forRevoke))).toMatchObject({ code: "PROOF_ALREADY_USED", serverTime: world.nowSeconds() });
  });

  it("6: what was signed before it buys nothing afterwards, a signed message and a JWT alike; what is signed later does", async () => {
    const world = createAppForTests();
    const early = [await world.sign(world.nowSeconds() - 4), await world.sign(world.nowSeconds())];
    expect((await world.revoke(await world.sign(undefined, undefined, "revoke"))).status).toBe(200);
    for (const body of early) {
      expect(await refusalOf(await world.post(body))).toMatchObject({ code: "TOKEN_REVOKED", serverTime: world.nowSeconds() });
    }
    expect((await world.post(await world.sign(world.nowSeconds() + 1))).status).toBe(200);
    const { stellar } = world;
    expect((await world.revoke(stellar.sign(undefined, "revoke"))).status).toBe(200);
    // Its clock may be a minute ahead of ours: so may be what it made before.
    for (const ahead of [-100, 0, 50]) {
      const iat = world.nowSeconds() + ahead;
      expect((await refusalOf(await world.postJwt(stellar.signJwt({ iat, exp: iat + 600 })))).code).toBe("TOKEN_REVOKED");
    }
    expect((await world.post(stellar.sign(world.nowSeconds() + 1))).status).toBe(200);
  });

  it("6: by an exclusive token is the same: what was signed before that one buys nothing", async () => {
    const world = createAppForTests();
    const early = await world.sign(world.nowSeconds() - 4);
    expect((await world.post(await world.sign(), {}, "?exclusive=1")).status).toBe(200);
    expect((await refusalOf(await world.post(early))).code).toBe("TOKEN_REVOKED");
    expect((await world.post(await world.sign(world.nowSeconds() + 1))).status).toBe(200);
  });

  it("12: is nothing that a JWT can ask for with ?exclusive=1 either", async () => {
    const world = createAppForTests();
    const problem = await refusalOf(await world.postJwt(world.stellar.signJwt(), undefined, "?exclusive=1"));
    expect(problem).toMatchObject({ code: "QUERY_MALFORMED", parameter: "exclusive" });
    expect([world.told, world.store.orders]).toEqual([[], []]);
  });

  it("is not kept from its owner by whoever repeats what the owner has spent", async () => {
    const world = createAppForTests({
      settings: { limits: { requestsPerMinute: 100, tokensPerMinute: 2, failedProofsPerMinute: 100, inFlight: 10 } },
    });
    const spent = await world.sign(world.nowSeconds() - 9, undefined, "revoke");
    expect((await world.revoke(spent)).status).toBe(200);
    for (let count = 0; count < 5; count += 1) expect((await refusalOf(await world.revoke(spent))).code).toBe("PROOF_ALREADY_USED");
    expect((await world.revoke(await world.sign(undefined, undefined, "revoke"))).status).toBe(200);
  });

  it("is not kept from anybody by the failed proofs of token requests from the same network", async () => {
    const world = createAppForTests({
      settings: { limits: { requestsPerMinute: 100, tokensPerMinute: 9, failedProofsPerMinute: 2, inFlight: 10 } },
    });
    const wrong = await world.sign(undefined, undefined, "revoke");
    for (let count = 0; count < 2; count += 1) expect((await refusalOf(await world.post(wrong))).code).toBe("SIGNER_MISMATCH");
    expect((await refusalOf(await world.post(await world.sign()))).code).toBe("RATE_LIMITED");
    expect((await world.revoke(wrong)).status).toBe(200);
  });

  it("has no query: whoever sends one is told, and nothing is spent", async () => {
    const world = createAppForTests();
    const body = await world.sign(undefined, undefined, "revoke");
    const problem = await refusalOf(await world.revoke(body, {}, "?exclusive=1"));
    expect(problem).toMatchObject({ code: "QUERY_MALFORMED", parameter: "exclusive", reason: "there is no such parameter here" });
    expect(world.told).toEqual([]);
    expect((await world.revoke(body)).status).toBe(200);
  });

  it("takes no JWT: the same one buys tokens", async () => {
    const world = createAppForTests();
    const authorization = `Bearer ${world.stellar.signJwt()}`;
    expect((await refusalOf(await world.revoke("", { authorization }))).code).toBe("WALLET_REQUIRED");
    const body = world.stellar.sign(undefined, "revoke");
    expect((await refusalOf(await world.revoke(body, { authorization }))).code).toBe("PROOF_TWICE");
    expect((await world.revoke(body, { authorization: "Web3Signed x.y" })).status).toBe(200);
  });

  it("has no tokenType, and the body's rules are those of a token request", async () => {
    const world = createAppForTests();
    const good = await world.sign(undefined, undefined, "revoke");
    const codes = [];
    for (const body of [{ ...good, tokenType: "jwt" }, "[]", '{"a":1,"a":2}', {}, { ...good, timestamp: world.nowSeconds() - 301 }]) {
      codes.push((await refusalOf(await world.revoke(body))).code);
    }
    expect(codes).toEqual(["UNKNOWN_FIELD", "BODY_NOT_OBJECT", "BODY_DUPLICATE_KEY", "WALLET_REQUIRED", "TIMESTAMP_STALE"]);
    expect(world.told).toEqual([]);
  });

  it("6: is not acknowledged, and nobody is told, when it cannot be recorded", async () => {
    const { store } = createAppForTests();
    const world = createAppForTests({ store: { ...store, revoke: () => Promise.reject(new Fault("STORE_UNAVAILABLE", "disk full")) } });
    const answer = await world.revoke(await world.sign(undefined, undefined, "revoke"));
    expect([answer.status, (await refusalOf(answer)).code]).toEqual([503, "STORE_UNAVAILABLE"]);
    expect(answer.headers.get("ratelimit-policy")).toContain('"address";q=60;w=60');
    expect(world.told).toEqual([]);
  });
});
