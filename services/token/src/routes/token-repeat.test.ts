import { describe, expect, it } from "vitest";
import { createAppForTests } from "../app-for-tests.ts";
import { problemSchema, tokenGrantSchema } from "../openapi-schemas.ts";

const codeOf = async (answer: Response) => problemSchema.parse(await answer.json()).code;
const key = (value: string) => ({ "idempotency-key": value });

describe("a repeated request (Idempotency-Key)", () => {
  it("gets the same answer for a minute, and buys nothing more", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    const first = await (await world.post(order, key("k-1"))).text();
    world.now = new Date(world.now.getTime() + 30_000);
    const second = await world.post(order, key("k-1"));
    expect([second.status, await second.text()]).toEqual([200, first]);
    expect(world.store.records).toHaveLength(1);
    world.now = new Date(world.now.getTime() + 31_000);
    expect(await codeOf(await world.post(order, key("k-1")))).toBe("PROOF_ALREADY_USED");
  });

  it("gets the same token from the key that made it, though another one mints by now", async () => {
    const world = createAppForTests();
    const order = { ...(await world.sign()), tokenType: "jwt" };
    const first = await (await world.post(order, key("k-1"))).text();
    world.keyIds = ["key-2", "key-1"];
    expect(await (await world.post(order, key("k-1"))).text()).toBe(first);
    world.keyIds = ["key-2"];
    expect(await codeOf(await world.post(order, key("k-1")))).toBe("PROOF_ALREADY_USED");
    expect(world.lines.map(({ message }) => message)).toContain("token cannot be minted again");
  });

  it("5: without the key, or with another one, it is a spent proof", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    expect((await world.post(order, key("k-1"))).status).toBe(200);
    expect(await codeOf(await world.post(order))).toBe("PROOF_ALREADY_USED");
    expect(await codeOf(await world.post(order, key("k-2")))).toBe("PROOF_ALREADY_USED");
  });

  it("that differs in body, proof or exclusive is another request: 422, and nothing is spent", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    expect((await world.post(order, key("k-1"))).status).toBe(200);
    const others = [
      world.post({ ...order, tokenType: "jwt" }, key("k-1")),
      world.post(`${JSON.stringify(order)} `, key("k-1")),
      world.post(order, key("k-1"), "?exclusive=1"),
      world.post(await world.sign(world.nowSeconds() - 1), key("k-1")),
    ];
    for (const answer of await Promise.all(others)) {
      expect([answer.status, await codeOf(answer)]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
    }
    expect((await world.post(order, key("k-1"), "?port=3000")).status).toBe(200);
    expect(world.store.records).toHaveLength(1);
  });

  it("of a token that was revoked meanwhile says so", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    expect((await world.post(order, key("k-1"))).status).toBe(200);
    expect((await world.revoke(await world.sign(undefined, undefined, "revoke"))).status).toBe(200);
    const answer = await world.post(order, key("k-1"));
    expect([answer.status, await codeOf(answer)]).toEqual([401, "TOKEN_REVOKED"]);
  });

  it("is nobody else's: two wallets may choose the same key", async () => {
    const world = createAppForTests();
    expect((await world.post(await world.sign(), key("1"))).status).toBe(200);
    expect((await world.post(world.stellar.sign(), key("1"))).status).toBe(200);
  });

  it("with a JWT is repeated as well", async () => {
    const world = createAppForTests();
    const headers = { authorization: `Bearer ${world.stellar.signJwt()}`, ...key("k-1") };
    const first = await (await world.post("", headers)).text();
    expect(await (await world.post("", headers)).text()).toBe(first);
  });

  it.each(["", "x".repeat(256), "k\u00e9y", "a\tb"])("the key %j is none", async (value) => {
    const world = createAppForTests();
    const answer = await world.post(await world.sign(), key(value));
    expect([answer.status, await codeOf(answer)]).toEqual([400, "IDEMPOTENCY_KEY_MALFORMED"]);
  });

  it("9: neither key nor request is kept as it was sent", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    await world.post(order, key("a-key-of-somebody"));
    const kept = JSON.stringify(world.store.orders[0]?.repeat);
    expect(kept).toMatch(/^\{"keyHash":"[0-9a-f]{64}","requestHash":"[0-9a-f]{64}"\}$/);
  });
});

describe("?exclusive=1", () => {
  it("ends what is older once the token is recorded, and says that it does", async () => {
    const world = createAppForTests();
    await world.post(await world.sign(world.nowSeconds() - 1));
    expect(world.told).toEqual([]);
    const answer = await world.post(await world.sign(), {}, "?exclusive=1");
    expect(answer.status).toBe(200);
    expect(tokenGrantSchema.parse(await answer.json()).enforced).toBe(true);
    expect(world.told).toEqual([world.label]);
    expect(world.store.orders.map(({ isExclusive }) => isExclusive)).toEqual([false, true]);
  });

  it("12: with the plugin down it is 202 and says so", async () => {
    const world = createAppForTests();
    world.plugin = "pending";
    const answer = await world.post(await world.sign(), {}, "?exclusive=1");
    expect(answer.status).toBe(202);
    expect(tokenGrantSchema.parse(await answer.json()).enforced).toBe(false);
  });

  it.each(["?exclusive=", "?exclusive=0", "?exclusive=true", "?exclusive=1&exclusive=1"])("%s is not allowed", async (query) => {
    const world = createAppForTests();
    const answer = await world.post(await world.sign(), {}, query);
    expect(problemSchema.parse(await answer.json())).toMatchObject({ code: "QUERY_MALFORMED", parameter: "exclusive" });
    expect(world.store.orders).toEqual([]);
  });
});
