import { identityOfLabel, type Label, printIdentity } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { type AppForTests, createAppForTests } from "../app-for-tests.ts";
import { problemSchema, tokenGrantSchema } from "../openapi-schemas.ts";

const account = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";

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
      token: `frp_test_${world.nowSeconds()}_secret`,
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

  it("may spell the address in lower case, when that is what was signed; unknown fields and odd keys are ignored", async () => {
    const world = createAppForTests();
    const order = await world.sign(undefined, world.address.toLowerCase());
    const text = `{"__proto__":{"walletAddress":1},"constructor":[],"timestamp":1,${JSON.stringify(order).slice(1, -1)},"more":{"x":[null]}}`;
    expect((await world.post(text)).status).toBe(200);
    expect(({} as { walletAddress?: unknown }).walletAddress).toBeUndefined();
  });

  it("is TOML when the caller prefers it, named for the file", async () => {
    const world = createAppForTests();
    const answer = await world.post(await world.sign(), { accept: "application/toml" }, "?port=3000&file=my.toml&caPath=/etc/ca.pem");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/toml"]);
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="my.toml"');
    expect(await answer.text()).toBe(`# my.toml 3000 /etc/ca.pem ${world.address.toLowerCase()}\n`);
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
    expect(world.store.orders[0]).toMatchObject({ proofKey: `token:${world.address.toLowerCase()}:${order.timestamp}`, kind: "hmac" });
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
      mint: () => {
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
    expect(log).not.toContain("frp_test");
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

describe("timestamps", () => {
  it.each([
    [-301, "TIMESTAMP_EXPIRED"],
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
    ["absent", undefined, "TIMESTAMP_MISSING"],
    ["null", null, "TIMESTAMP_MISSING"],
    ["text", "1770201015", "TIMESTAMP_MALFORMED"],
    ["a fraction", 1_770_201_015.5, "TIMESTAMP_MALFORMED"],
    ["negative", -1, "TIMESTAMP_MALFORMED"],
    ["milliseconds", 1_770_201_015_000, "TIMESTAMP_MALFORMED"],
    ["beyond 2^53", 1e300, "TIMESTAMP_MALFORMED"],
    ["a list", [1], "TIMESTAMP_MALFORMED"],
    ["zero", 0, "TIMESTAMP_EXPIRED"],
  ])("%s is refused with our time", async (_, timestamp, code) => {
    const world = createAppForTests();
    expect(await refusalOf(world, { ...(await world.sign()), timestamp })).toMatchObject({ code, serverTime: world.nowSeconds() });
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
    expect(codes).toEqual(["WALLET_MISSING", "TIMESTAMP_MISSING", "SIGNATURE_MISSING", "SIGNATURE_MISSING"]);
    expect((await refusalOf(world, { ...good, walletAddress: account })).code).toBe("WALLET_UNSUPPORTED");
    expect(await refusalOf(world, { ...good, walletAddress: foreign })).toMatchObject({
      code: "SIGNATURE_MISMATCH",
      error: "INVALID_SIGNATURE",
    });
    expect((await refusalOf(world, { ...good, signature: "0x00" })).code).toBe("SIGNATURE_MALFORMED");
    expect(world.store.orders).toEqual([]);
  });
});

describe("bodies", () => {
  const bytes = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  it.each([
    ["empty", "", "BODY_NOT_JSON"],
    ["a byte order mark", bytes([0xef, 0xbb, 0xbf], "{}"), "BODY_NOT_JSON"],
    ["invalid UTF-8", bytes('{"walletAddress":"', [0xff, 0xfe], '"}'), "BODY_NOT_JSON"],
    ["a surrogate in UTF-8", bytes('{"walletAddress":"', [0xed, 0xa0, 0x80], '"}'), "BODY_NOT_JSON"],
    ["UTF-16", Buffer.from("{}", "utf16le"), "BODY_NOT_JSON"],
    ["a NUL", "{}\0", "BODY_NOT_JSON"],
    ["two objects", "{}{}", "BODY_NOT_JSON"],
    ["a list", "[]", "BODY_NOT_OBJECT"],
    ["null", "null", "BODY_NOT_OBJECT"],
    ["text", '"x"', "BODY_NOT_OBJECT"],
    ["infinity", "1e999", "BODY_NOT_OBJECT"],
    ["deep and unclosed", "[".repeat(16_000), "BODY_NOT_JSON"],
    ["deep and closed", `${"[".repeat(8000)}${"]".repeat(8000)}`, "BODY_NOT_OBJECT"],
    ["deep inside a field", `{"walletAddress":${"[".repeat(8000)}${"]".repeat(8000)}}`, "WALLET_MISSING"],
    ["too large", `{"pad":"${"x".repeat(16_384)}"}`, "BODY_TOO_LARGE"],
  ])("%s: its own refusal", async (_, body, code) => {
    expect((await refusalOf(createAppForTests(), body)).code).toBe(code);
  });

  it("a body of 16 KB exactly is read", async () => {
    expect((await refusalOf(createAppForTests(), `{}${" ".repeat(16_382)}`)).code).toBe("WALLET_MISSING");
  });

  it.each([
    "",
    "text/plain",
    "application/jsonp",
    "application/json, text/plain",
    "application/x-www-form-urlencoded",
    "application/problem+json",
  ])("the content type %j is not JSON", async (type) => {
    expect((await refusalOf(createAppForTests(), "{}", { "content-type": type })).code).toBe("BODY_WRONG_TYPE");
  });

  it.each(["application/json", "APPLICATION/JSON; charset=utf-8", "application/json;charset=utf-8;x=y"])(
    "the content type %j is",
    async (type) => {
      expect((await refusalOf(createAppForTests(), "{}", { "content-type": type })).code).toBe("WALLET_MISSING");
    },
  );

  it("a packed body is not unpacked", async () => {
    expect((await refusalOf(createAppForTests(), "{}", { "content-encoding": "gzip" })).code).toBe("BODY_WRONG_TYPE");
  });
});
