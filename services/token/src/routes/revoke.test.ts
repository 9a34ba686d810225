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
