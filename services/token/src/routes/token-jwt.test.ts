import { publicKeyOfSeed, readTunnelJwt } from "@keyhole/core";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { createAppForTests } from "../app-for-tests.ts";
import { problemSchema, tokenGrantSchema } from "../openapi-schemas.ts";

const grantOf = async (answer: Response) => tokenGrantSchema.parse(await answer.json());
const refusalOf = async (answer: Response) => {
  const problem = problemSchema.parse(await answer.json());
  expect(problem.status).toBe(answer.status);
  return problem;
};

describe("a Stellar JWT as a proof", () => {
  it("buys a token for its account, with an empty body or one that says the type", async () => {
    const world = createAppForTests();
    const { stellar } = world;
    expect(await grantOf(await world.postJwt(stellar.signJwt()))).toMatchObject({ subdomain: stellar.label, tokenType: "hmac" });
    const later = { iat: world.nowSeconds() - 1, exp: world.nowSeconds() + 600 };
    const answer = await world.postJwt(stellar.signJwt(later), { tokenType: "jwt" });
    expect(await grantOf(answer)).toMatchObject({ subdomain: stellar.label, tokenType: "jwt" });
    expect(world.store.orders.map(({ proofKey, kind }) => [proofKey, kind])).toEqual([
      [`${world.nowSeconds()}:token-jwt:${stellar.label}`, "hmac"],
      [`${later.iat}:token-jwt:${stellar.label}`, "jwt"],
    ]);
  });

  it("5: is spent once, whatever else it says: what counts is account and time", async () => {
    const world = createAppForTests();
    expect((await world.postJwt(world.stellar.signJwt())).status).toBe(200);
    for (const jwt of [world.stellar.signJwt(), world.stellar.signJwt({ services: ["ipfs"], jti: "other" })]) {
      const problem = await refusalOf(await world.postJwt(jwt));
      expect(problem).toMatchObject({ code: "PROOF_ALREADY_USED", serverTime: world.nowSeconds(), skewSeconds: 0 });
    }
    expect(world.store.records).toHaveLength(1);
    expect(world.store.orders[0]?.proofEndsAt.getTime()).toBeGreaterThan((world.nowSeconds() + 3600 + 60) * 1000);
  });

  it.each([
    ["no JWT", () => "abc", "JWT_MALFORMED"],
    ["nothing", () => "", "JWT_MALFORMED"],
    ["another algorithm", (world) => world.stellar.signJwt({}, { alg: "none" }), "JWT_ALGORITHM"],
    ["another issuer", (world) => world.stellar.signJwt({ iss: "somebody" }), "JWT_ISSUER"],
    ["another audience", (world) => world.stellar.signJwt({ aud: world.stellar.account }), "JWT_AUDIENCE"],
    ["another key id", (world) => world.stellar.signJwt({}, { kid: "other" }), "JWT_KEY_MISMATCH"],
    ["a long life", (world) => world.stellar.signJwt({ exp: world.nowSeconds() + 3601 }), "JWT_LIFE_TOO_LONG"],
    ["a past", (world) => world.stellar.signJwt({ iat: world.nowSeconds() - 200, exp: world.nowSeconds() - 60 }), "JWT_EXPIRED"],
    ["a future", (world) => world.stellar.signJwt({ iat: world.nowSeconds() + 61 }), "JWT_NOT_YET_VALID"],
  ] as [string, (world: ReturnType<typeof createAppForTests>) => string, string][])(
    "with %s is 401, and says which scheme failed",
    async (_, sign, code) => {
      const world = createAppForTests();
      const answer = await world.postJwt(sign(world));
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="keyhole", error="invalid_token"']);
      expect((await refusalOf(answer)).code).toBe(code);
      expect(world.store.orders).toEqual([]);
    },
  );

  it("with a signature of somebody else is refused", async () => {
    const world = createAppForTests();
    const [head, claims] = world.stellar.signJwt().split(".");
    const [, , foreign] = createAppForTests().stellar.signJwt().split(".");
    expect((await refusalOf(await world.postJwt(`${head}.${claims}.${foreign}`))).code).toBe("SIGNATURE_INVALID");
  });

  it("beside a signed body is one proof too many", async () => {
    const world = createAppForTests();
    const good = await world.sign();
    for (const body of [good, { walletAddress: null }, { signature: "" }, { timestamp: 0 }]) {
      expect((await refusalOf(await world.postJwt(world.stellar.signJwt(), body))).code).toBe("PROOF_TWICE");
    }
    expect(world.store.orders).toEqual([]);
  });

  it("has a body that is held to the same rules", async () => {
    const world = createAppForTests();
    const jwt = world.stellar.signJwt();
    expect((await refusalOf(await world.postJwt(jwt, "[]"))).code).toBe("BODY_NOT_OBJECT");
    expect((await refusalOf(await world.postJwt(jwt, { services: [] }))).code).toBe("UNKNOWN_FIELD");
    const headers = { authorization: `Bearer ${jwt}`, "content-type": "text/plain" };
    expect((await refusalOf(await world.post("{}", headers))).code).toBe("CONTENT_TYPE_UNSUPPORTED");
  });

  it.each(["Web3Signed abc.def", "Basic Zm9vOmJhcg==", "bearerish x"])(
    "another scheme (%s) is nobody's proof, and in nobody's way",
    async (authorization) => {
      const world = createAppForTests();
      expect((await world.post(await world.sign(), { authorization })).status).toBe(200);
      expect((await refusalOf(await world.post("", { authorization }))).code).toBe("WALLET_REQUIRED");
      expect((await refusalOf(await world.post({}, { authorization }))).code).toBe("WALLET_REQUIRED");
    },
  );
});

describe("tokenType", () => {
  it("jwt is a token that anybody can verify with the published key, and core reads", async () => {
    const world = createAppForTests();
    const { token, tokenType, subdomain } = await grantOf(await world.post({ ...(await world.sign()), tokenType: "jwt" }));
    const publicKey = publicKeyOfSeed(Buffer.alloc(32, "key-1"));
    const keys = createLocalJWKSet({
      keys: [{ kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKey).toString("base64url"), kid: "key-1" }],
    });
    const { payload } = await jwtVerify(token, keys, {
      issuer: "tunnel.localhost",
      audience: "tunnel.localhost",
      typ: "keyhole-tunnel+jwt",
      currentDate: world.now,
    });
    expect([tokenType, payload.sub, payload.subdomain, payload.iat]).toEqual(["jwt", subdomain, subdomain, world.nowSeconds()]);
    expect(decodeProtectedHeader(token)).toEqual({ alg: "EdDSA", typ: "keyhole-tunnel+jwt", kid: "key-1" });
    // The plugin's reader is stricter about names of keys, so it is given one that it takes.
    const id = "1770201015000-0a1b2c3d";
    world.keyIds = [id];
    const named = await grantOf(await world.post({ ...(await world.sign(world.nowSeconds() - 1)), tokenType: "jwt" }));
    const read = readTunnelJwt(named.token, [{ id, publicKey: publicKeyOfSeed(Buffer.alloc(32, id)) }], "tunnel.localhost");
    expect(read).toMatchObject({ granted: true, value: { label: world.label } });
  });

  it.each([null, "", "HMAC", "oidc", 1, ["jwt"]])("%j is unknown", async (tokenType) => {
    const world = createAppForTests();
    expect((await refusalOf(await world.post({ ...(await world.sign()), tokenType }))).code).toBe("TOKEN_TYPE_UNKNOWN");
    expect(world.store.orders).toEqual([]);
  });

  it("jwt may lie in a file that frpc reads; an hmac token may not", async () => {
    const world = createAppForTests();
    const toml = { accept: "application/toml" };
    const answer = await world.post({ ...(await world.sign()), tokenType: "jwt" }, toml, "?tokenFile=/run/token.jwt");
    expect(await answer.text()).toBe(`# frpc.toml 8080 - /run/token.jwt ${world.label}\n`);
    for (const [body, query, reason] of [
      [await world.sign(), "?tokenFile=/run/token.jwt", "tokenFile needs tokenType jwt"],
      [{ ...(await world.sign()), tokenType: "hmac" }, "?tokenFile=/run/token.jwt", "tokenFile needs tokenType jwt"],
      [{ ...(await world.sign()), tokenType: "jwt" }, "?tokenFile=token.jwt", "must be an absolute path"],
    ] as const) {
      const told = { code: "QUERY_MALFORMED", parameter: "tokenFile", reason };
      expect(await refusalOf(await world.post(body, {}, query))).toMatchObject(told);
    }
  });
});
