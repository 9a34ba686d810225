import { describe, expect, it } from "vitest";
import { type AppForTests, createAppForTests } from "../app-for-tests.ts";
import { problemSchema } from "../openapi-schemas.ts";

const limits = { requestsPerMinute: 5, tokensPerMinute: 2, failedProofsPerMinute: 2, inFlight: 2 };
const codeOf = async (answer: Response) => problemSchema.parse(await answer.json()).code;
const from = (address: string) => ({ "x-keyhole-edge": "the edge's own", "x-forwarded-for": address });
const wait = (world: AppForTests, seconds: number) => {
  world.now = new Date(world.now.getTime() + seconds * 1000);
};

describe("requests of one address prefix", () => {
  it("are limited before anything of them is read; every answer says what is left", async () => {
    const world = createAppForTests({ settings: { limits } });
    for (const left of [4, 3, 2, 1, 0]) {
      const answer = await world.post("[]", from("192.0.2.1"));
      expect([answer.status, answer.headers.get("ratelimit-policy")]).toEqual([
        400,
        '"address";q=5;w=60, "failed-proofs";q=2;w=60, "identity";q=2;w=60',
      ]);
      expect(answer.headers.get("ratelimit")).toBe(`"address";r=${left};t=${(5 - left) * 12}, "failed-proofs";r=2;t=0`);
    }
    const answer = await world.post("[]", from("192.0.2.200"));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "12"]);
    expect(answer.headers.get("ratelimit")).toBe('"address";r=0;t=60');
    const problem = problemSchema.parse(await answer.json());
    expect(problem).toMatchObject({ code: "RATE_LIMITED", error: "RATE_LIMITED", limit: "address" });
    expect((await world.revoke({}, from("192.0.2.1"))).status).toBe(429);
    expect((await world.post("[]", from("198.51.100.1"))).status).toBe(400);
    wait(world, 12);
    expect((await world.post("[]", from("192.0.2.1"))).status).toBe(400);
  });

  it("are one network in every spelling, and a header of somebody else's is not believed", async () => {
    const world = createAppForTests({ settings: { limits: { ...limits, requestsPerMinute: 6 } } });
    for (const address of ["2001:db8::1", "2001:DB8:0:0::1", "2001:0db8::0001", "2001:db8::2", "2001:db8:0:1::1", "2001:db8::192.0.2.1"]) {
      expect((await world.post("[]", from(address))).status).toBe(400);
    }
    expect((await world.post("[]", from("2001:db8::ffff"))).status).toBe(429);
    for (const address of ["1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "1.2.3.4", "1.2.3.5", "1.2.3.255"]) {
      expect((await world.post("[]", from(address))).status).toBe(400);
    }
    expect((await world.post("[]", from("::ffff:1.2.3.77"))).status).toBe(429);
    const others = [1, 2, 3, 4, 5, 6, 7].map((last) =>
      world.post("[]", { "x-keyhole-edge": "a guess", "x-forwarded-for": `10.${last}.0.1` }),
    );
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 400, 429]);
  });

  it("are not counted for a preflight", async () => {
    const world = createAppForTests({ settings: { limits } });
    for (let times = 0; times < 10; times += 1) {
      const answer = await world.app.request("/v1/tunnel/token", { method: "OPTIONS", headers: from("192.0.2.1") });
      expect([answer.status, answer.headers.get("ratelimit")]).toEqual([204, null]);
    }
    expect((await world.post("[]", from("192.0.2.1"))).headers.get("ratelimit")).toContain('"address";r=4');
  });
});

describe("wrong signatures of one address prefix", () => {
  it("are limited before another one is checked; what has not the form of a proof is not counted", async () => {
    let checked = 0;
    const plain = createAppForTests();
    const world = createAppForTests({
      settings: { limits: { ...limits, requestsPerMinute: 60 } },
      checkStellarJwt: () => {
        checked += 1;
        return { granted: false, refusal: { code: "SIGNATURE_INVALID", facts: {} } };
      },
    });
    const good = await world.sign();
    for (const body of ["[]", {}, { ...good, signature: "0x" }, { ...good, timestamp: 0 }]) await world.post(body, from("192.0.2.1"));
    const foreign = { ...good, signature: (await plain.sign(good.timestamp)).signature };
    expect(await codeOf(await world.post(foreign, from("192.0.2.1")))).toBe("SIGNER_MISMATCH");
    const second = await world.post("", { ...from("192.0.2.1"), authorization: "Bearer x" });
    expect(second.headers.get("ratelimit")).toMatch(/"failed-proofs";r=0;t=60$/);
    expect(await codeOf(second)).toBe("SIGNATURE_INVALID");
    const third = await world.post("", { ...from("192.0.2.1"), authorization: "Bearer x" });
    expect([third.status, third.headers.get("retry-after")]).toEqual([429, "30"]);
    expect(problemSchema.parse(await third.json())).toMatchObject({ code: "RATE_LIMITED", limit: "failed-proofs" });
    expect(checked).toBe(1);
    expect((await world.post(good, from("198.51.100.1"))).status).toBe(200);
  });
});

describe("tokens of one identity", () => {
  it("are limited before the proof is spent, so that it is good once the minute allows it", async () => {
    const world = createAppForTests({ settings: { limits: { ...limits, requestsPerMinute: 60 } } });
    for (const address of ["192.0.2.1", "198.51.100.1"]) {
      wait(world, 1);
      expect((await world.post(await world.sign(), from(address))).status).toBe(200);
    }
    wait(world, 1);
    const order = await world.sign();
    const answer = await world.post(order, from("203.0.113.1"));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "28"]);
    expect(answer.headers.get("ratelimit")).toContain('"identity";r=0;t=58');
    expect(problemSchema.parse(await answer.json())).toMatchObject({ code: "RATE_LIMITED", limit: "identity" });
    expect(world.store.orders).toHaveLength(2);
    wait(world, 28);
    expect((await world.post(order)).status).toBe(200);
  });

  it("are used up by nobody else: a wrong signature in its name does not count", async () => {
    const world = createAppForTests({ settings: { limits: { ...limits, requestsPerMinute: 60, failedProofsPerMinute: 50 } } });
    const other = createAppForTests();
    for (let back = 0; back < 5; back += 1) {
      const { signature } = await other.sign(world.nowSeconds() - back);
      const answer = await world.post({ walletAddress: world.address, timestamp: world.nowSeconds() - back, signature });
      expect(await codeOf(answer)).toBe("SIGNER_MISMATCH");
    }
    expect((await world.post(await world.sign())).headers.get("ratelimit")).toContain('"identity";r=1;');
  });

  it("do not stand in the way of a revocation", async () => {
    const world = createAppForTests({ settings: { limits } });
    for (const back of [0, 1, 2]) await world.post(await world.sign(world.nowSeconds() - back));
    expect((await world.revoke(await world.sign(undefined, undefined, "revoke"))).status).toBe(200);
  });
});

describe("requests in flight", () => {
  it("are so many at most: the next is 503 BUSY, is not counted, and the place is free again afterwards", async () => {
    const release = Promise.withResolvers<void>();
    const { store } = createAppForTests();
    let asked = 0;
    const bothAsked = Promise.withResolvers<void>();
    const world = createAppForTests({
      settings: { limits },
      store: {
        ...store,
        orderToken: async (order) => {
          asked += 1;
          if (asked === 2) bothAsked.resolve();
          await release.promise;
          return store.orderToken(order);
        },
      },
    });
    const pending = [world.post(await world.sign()), world.post(world.stellar.sign())];
    await bothAsked.promise;
    const answer = await world.post("[]");
    expect([answer.status, answer.headers.get("retry-after"), await codeOf(answer)]).toEqual([503, "1", "BUSY"]);
    expect(answer.headers.get("ratelimit")).toBe('"address";r=3;t=24');
    release.resolve();
    expect((await Promise.all(pending)).map(({ status }) => status)).toEqual([200, 200]);
    expect(await codeOf(await world.post("[]"))).toBe("BODY_NOT_OBJECT");
  });

  it("give their place back when they fail", async () => {
    const { store } = createAppForTests();
    const world = createAppForTests({
      settings: { limits },
      store: { ...store, orderToken: () => Promise.reject(new Error("broken")) },
    });
    for (const back of [0, 1]) expect((await world.post(await world.sign(world.nowSeconds() - back))).status).toBe(500);
    expect(await codeOf(await world.post("[]"))).toBe("BODY_NOT_OBJECT");
  });
});
