import { identityOfLabel, type Label, printIdentity, printTunnelMessage } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { type AppForTests, createAppForTests } from "../app-for-tests.ts";
import { problemSchema, tokenGrantSchema } from "../openapi-schemas.ts";

async function refusalOf(world: AppForTests, body: unknown, headers?: Record<string, string>, query?: string) {
  const answer = await world.post(body, headers, query);
  const problem = problemSchema.parse(await answer.json());
  expect(problem.status).toBe(answer.status);
  return problem;
}

describe("a good proof", () => {
  it("buys a token: the promised fields, and everything needed to connect", async () => {
    const world = createAppForTests();
    const answer = await world.post(await world.sign());
    expect([answer.status, answer.headers.get("content-type"), answer.headers.get("vary")]).toEqual([200, "application/json", "Accept"]);
    const label = world.address.toLowerCase();
    const grant = tokenGrantSchema.parse(await answer.json());
    expect(grant).toEqual({
      token: expect.stringMatching(new RegExp(`^frp_[A-Za-z0-9]+_${world.nowSeconds()}_[0-9a-f]{64}$`)),
      subdomain: label,
      serverAddr: "127.0.0.1",
      serverPort: 7000,
      expiresAt: "2026-02-05T10:30:15Z",
      tunnelUrl: `http://${label}.tunnel.localhost:7080`,
      tokenType: "hmac",
      renewAfter: "2026-02-04T22:30:15Z",
      proxyName: "app",
      transports: [
        {
          protocol: "tcp",
          addr: "127.0.0.1",
          port: 7000,
          serverName: "control.tunnel.localhost",
          ca: expect.stringMatching(/^-----BEGIN/),
        },
      ],
    });
  });

  it("may spell the address in lower case, when that is what was signed", async () => {
    const world = createAppForTests();
    expect((await world.post(await world.sign(undefined, world.address.toLowerCase()))).status).toBe(200);
  });

  it("may be of a Stellar account: SEP-53 over the same text, in base64 or hexadecimal", async () => {
    const world = createAppForTests();
    const { account, label } = world.stellar;
    expect(tokenGrantSchema.parse(await (await world.post(world.stellar.sign())).json())).toMatchObject({ subdomain: label });
    const order = world.stellar.sign(world.nowSeconds() - 1);
    const hex = Buffer.from(order.signature, "base64").toString("hex");
    expect((await world.post({ ...order, signature: hex })).status).toBe(200);
    expect(account.toLowerCase()).toBe(label);
    expect((await refusalOf(world, { ...world.stellar.sign(), timestamp: world.nowSeconds() - 2 })).code).toBe("SIGNATURE_INVALID");
  });

  it("is TOML when the caller prefers it, named for the file", async () => {
    const world = createAppForTests();
    const answer = await world.post(await world.sign(), { accept: "application/toml" }, "?port=3000&file=my.toml&caPath=/etc/ca.pem");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/toml"]);
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="my.toml"');
    expect(await answer.text()).toBe(`# my.toml 3000 /etc/ca.pem - ${world.address.toLowerCase()}\n`);
  });

  it("5: buys one token; the second time it is refused with our time, however the address or the signature is spelt", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    expect((await world.post(order)).status).toBe(200);
    const respelt = { ...order, signature: order.signature.replace(/[0-9a-f]{130}$/, (digits) => digits.toUpperCase()) };
    for (const again of [order, respelt, await world.sign(order.timestamp, world.address.toLowerCase())]) {
      const answer = await world.post(again);
      expect(await answer.json()).toMatchObject({
        status: 400,
        error: "INVALID_TIMESTAMP",
        code: "PROOF_ALREADY_USED",
        serverTime: world.nowSeconds(),
        skewSeconds: 0,
      });
    }
    expect(world.store.records).toHaveLength(1);
    expect(world.store.orders[0]).toMatchObject({ proofKey: `${order.timestamp}:token:${world.address.toLowerCase()}`, kind: "hmac" });
    expect(world.store.orders[0]!.proofEndsAt.getTime()).toBeGreaterThan((order.timestamp + 300) * 1000);
  });

  it("6: the token is made only after its record is there", async () => {
    const recorded: string[] = [];
    const plain = createAppForTests();
    const world = createAppForTests({
      store: {
        ...plain.store,
        orderToken: async (order) => {
          const outcome = await plain.store.orderToken(order);
          recorded.push("recorded");
          return outcome;
        },
      },
      mint: async () => {
        recorded.push("minted");
        return "frp_x";
      },
    });
    expect((await world.post(await world.sign())).status).toBe(200);
    expect(recorded).toEqual(["recorded", "minted"]);
  });

  it("faster than one a second is 429 with Retry-After, once it is ahead of the clock", async () => {
    const world = createAppForTests();
    const statuses = [];
    for (const back of [0, 1, 2, 3]) statuses.push((await world.post(await world.sign(world.nowSeconds() - back))).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    const answer = await world.post(await world.sign(world.nowSeconds() - 4));
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(await answer.json()).toMatchObject({ code: "TOKENS_TOO_FAST", error: "RATE_LIMITED" });
  });

  it("9: neither token, signature nor body is ever logged; a grant is one line", async () => {
    const world = createAppForTests();
    const order = await world.sign();
    await world.post(order);
    await world.post(order);
    const log = JSON.stringify(world.lines);
    expect(log).not.toContain(order.signature.slice(2, 20));
    expect(log).not.toMatch(/frp_[A-Za-z0-9]/);
    expect(world.lines.filter(({ level }) => level === "info")).toEqual([
      {
        level: "info",
        message: "token granted",
        fields: { label: world.address.toLowerCase(), kind: "hmac", requestId: "request-0001", ms: 0 },
      },
    ]);
    expect(world.lines.filter(({ level }) => level === "debug").map(({ fields }) => fields.code)).toEqual(["PROOF_ALREADY_USED"]);
  });

  it("is not spent by what could be known before: a bad query, or a CA that cannot be read", async () => {
    const broken = createAppForTests({
      caPem: () => {
        throw new Error("no such file");
      },
    });
    expect((await broken.post(await broken.sign())).status).toBe(500);
    expect((await refusalOf(broken, await broken.sign(), {}, "?port=99999")).code).toBe("QUERY_MALFORMED");
    expect(broken.store.orders).toEqual([]);
  });
});

describe("a query that does not mean what its sender believes", () => {
  it.each([
    ["?exclusve=1", "exclusve"],
    ["?prot=80", "prot"],
    ["?port=80&port=80", "port"],
  ])("%s is refused by its name, and the proof is good for the next request", async (query, parameter) => {
    const world = createAppForTests();
    const order = await world.sign();
    expect(await refusalOf(world, order, {}, query)).toMatchObject({ code: "QUERY_MALFORMED", parameter });
    expect(world.store.orders).toEqual([]);
    expect((await world.post(order, {}, "?exclusive=1&port=80")).status).toBe(200);
  });
});

describe("timestamps", () => {
  it.each([
    [-301, "TIMESTAMP_STALE"],
    [-300, undefined],
    [300, undefined],
    [301, "TIMESTAMP_IN_FUTURE"],
  ])("%i s from our clock: %s", async (skewSeconds, code) => {
    const world = createAppForTests();
    const answer = await world.post(await world.sign(world.nowSeconds() + skewSeconds));
    if (code === undefined) return expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      status: 400,
      error: "INVALID_TIMESTAMP",
      code,
      serverTime: world.nowSeconds(),
      skewSeconds,
    });
  });

  it.each([
    ["absent", undefined, "TIMESTAMP_REQUIRED"],
    ["null", null, "TIMESTAMP_REQUIRED"],
    ["text", "1770201015", "TIMESTAMP_TYPE"],
    ["a fraction", 1_770_201_015.5, "TIMESTAMP_TYPE"],
    ["negative", -1, "TIMESTAMP_STALE"],
    ["milliseconds", 1_770_201_015_000, "TIMESTAMP_TYPE"],
    ["milliseconds before 1970", -1_770_201_015_000, "TIMESTAMP_TYPE"],
    ["beyond 2^53", 1e300, "TIMESTAMP_TYPE"],
    ["a list", [1], "TIMESTAMP_TYPE"],
    ["zero", 0, "TIMESTAMP_STALE"],
  ])("%s is refused with our time", async (_, timestamp, code) => {
    const world = createAppForTests();
    expect(await refusalOf(world, { ...(await world.sign()), timestamp })).toMatchObject({ code, serverTime: world.nowSeconds() });
  });
});

describe("addresses and signatures that are none", () => {
  const small = "GAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHV4";
  it.each([
    [`0x${"0".repeat(40)}`, "WALLET_RESERVED"],
    [`0x${"0".repeat(39)}1`, "WALLET_RESERVED"],
    [small, "WALLET_WEAK_KEY"],
    ["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046", "WALLET_CHECKSUM"],
    ["CA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUWDA", "WALLET_KIND_UNSUPPORTED"],
    ["nobody", "WALLET_FORMAT"],
  ])("the address %s: %s", async (walletAddress, code) => {
    const world = createAppForTests();
    expect((await refusalOf(world, { ...(await world.sign()), walletAddress })).code).toBe(code);
  });

  const digits = (text: string) => `0x${text.repeat(65)}`;
  it.each([
    ["not hexadecimal", "0xzz", "SIGNATURE_FORMAT"],
    ["64 bytes", `0x${"11".repeat(64)}`, "SIGNATURE_LENGTH"],
    ["r and s of zero", digits("00"), "SIGNATURE_INVALID"],
    ["the mark of a contract wallet", `${digits("11")}${"6492".repeat(16)}`, "SIGNATURE_KIND_UNSUPPORTED"],
  ])("a signature with %s", async (_, signature, code) => {
    const world = createAppForTests();
    expect((await refusalOf(world, { ...(await world.sign()), signature })).code).toBe(code);
  });
});

describe("the order of the checks", () => {
  it("is address, timestamp, signature: the first flaw is the one that is told", async () => {
    const world = createAppForTests();
    const good = await world.sign();
    const foreign = printIdentity(identityOfLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label));
    const codes = [];
    for (const body of [
      {},
      { walletAddress: world.address },
      { walletAddress: world.address, timestamp: good.timestamp },
      { ...good, signature: "" },
    ]) {
      codes.push((await refusalOf(world, body)).code);
    }
    expect(codes).toEqual(["WALLET_REQUIRED", "TIMESTAMP_REQUIRED", "SIGNATURE_REQUIRED", "SIGNATURE_REQUIRED"]);
    expect(await refusalOf(world, { ...good, walletAddress: foreign })).toMatchObject({
      code: "SIGNER_MISMATCH",
      error: "INVALID_SIGNATURE",
      expectedMessage: printTunnelMessage({ walletAddress: foreign, timestamp: good.timestamp }, "Vana Personal Server"),
    });
    expect((await refusalOf(world, { ...good, signature: "0x0" })).code).toBe("SIGNATURE_FORMAT");
    expect(world.store.orders).toEqual([]);
  });
});
