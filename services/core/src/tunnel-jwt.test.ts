import fc from "fast-check";
import { importJWK, jwtVerify, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { publicKeyOfSeed } from "./ed25519.ts";
import { codeOf, encodePart, signJws } from "./jws-for-tests.ts";
import { type Label, parseLabel } from "./label.ts";
import type { TokenRecord } from "./store.ts";
import { deriveTunnelJwtClaims, readTunnelJwt, tunnelJwtType, type VerifyKey } from "./tunnel-jwt.ts";

const domain = "tunnel.example.org";
const seedOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const keyOf = (fill: number, id: string): VerifyKey => ({ id, publicKey: publicKeyOfSeed(seedOf(fill)) });
const [newId, oldId] = ["1795309034123-00c0ffee", "1795309034122-deadbeef"];
const keys = [keyOf(1, newId), keyOf(2, oldId)];
const label = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
const other = parseLabel("gbrpyhil2ci3fnq4bxlfmndlfjunpu2hy3zmfshonuceoasw7qc7ox2h") as Label;
const iat = 1_707_091_200;
const recordOf = (whose: Label): TokenRecord => ({
  label: whose,
  kind: "jwt",
  issuedAt: new Date(iat * 1000),
  expiresAt: new Date((iat + 3600) * 1000),
});
const header = { alg: "EdDSA", typ: tunnelJwtType, kid: newId };
const payload = deriveTunnelJwtClaims(recordOf(label), domain);

const signed = (changes: object = {}, headerChanges: object = {}, fill = 1): string =>
  signJws({ ...header, ...headerChanges }, { ...payload, ...changes }, seedOf(fill));
const read = (text: string, list: readonly VerifyKey[] = keys) => readTunnelJwt(text, list, domain);

/** As jose holds an Ed25519 key of this seed. */
const jwkOf = (fill: number) => ({
  kty: "OKP",
  crv: "Ed25519",
  x: Buffer.from(publicKeyOfSeed(seedOf(fill))).toString("base64url"),
});

describe("a tunnel token in its JWT form", () => {
  it("says what was recorded, for both kinds of label, and is read with any of the keys", () => {
    for (const [fill, kid] of [
      [1, newId],
      [2, oldId],
    ] as const) {
      for (const whose of [label, other]) {
        const text = signJws({ ...header, kid }, deriveTunnelJwtClaims(recordOf(whose), domain), seedOf(fill));
        const { issuedAt, expiresAt: endsAt } = recordOf(whose);
        expect(read(text)).toEqual({ granted: true, value: { label: whose, issuedAt, endsAt } });
      }
    }
    expect(payload).toEqual({ iss: domain, aud: domain, sub: label, subdomain: label, iat, exp: iat + 3600 });
  });

  it("is the same to jose: each reads what the other signed", async () => {
    const privateKey = { ...jwkOf(1), d: Buffer.from(seedOf(1)).toString("base64url") };
    const theirs = await new SignJWT({ ...payload }).setProtectedHeader(header).sign(privateKey);
    expect(codeOf(read(theirs))).toBe("granted");
    expect(theirs).toBe(signed());
    const options = { algorithms: ["EdDSA"], typ: tunnelJwtType, issuer: domain, audience: domain, subject: label };
    const { payload: seen } = await jwtVerify(signed(), await importJWK(jwkOf(1), "EdDSA"), {
      ...options,
      requiredClaims: ["iat", "exp"],
      currentDate: new Date((iat + 1) * 1000),
    });
    expect(seen).toEqual(payload);
    await expect(jwtVerify(signed({}, {}, 2), await importJWK(jwkOf(1), "EdDSA"), options)).rejects.toMatchObject({
      code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
    });
  });

  it("is of the type that is published, which no other JWT has", () => {
    expect(tunnelJwtType).toBe("keyhole-tunnel+jwt");
  });

  it("is not judged by any clock here: an old one is read, and says when it ended", () => {
    expect(codeOf(read(signed({ iat: 1, exp: 2 })))).toBe("granted");
    expect(codeOf(read(signed({ iat: 0xffff_fffe, exp: 0xffff_ffff })))).toBe("granted");
  });

  it.each([
    ["another algorithm", {}, { alg: "HS256" }],
    ["no algorithm", {}, { alg: "none" }],
    ["the type of other JWTs", {}, { typ: "JWT" }],
    ["no type", {}, { typ: undefined }],
    ["crit", {}, { crit: ["exp"] }],
    ["its own key", {}, { jwk: jwkOf(2) }],
    ["no sub", { sub: undefined }, {}],
    ["a sub that is no label", { sub: "www" }, {}],
    ["a sub in upper case", { sub: label.toUpperCase() }, {}],
    ["no iat", { iat: undefined }, {}],
    ["an iat with a fraction", { iat: iat + 0.5 }, {}],
    ["no exp", { exp: undefined }, {}],
    ["an exp that is its iat", { exp: iat }, {}],
    ["an exp after 2106", { exp: 0x1_0000_0000 }, {}],
    ["an nbf, which we never sign", { nbf: iat }, {}],
  ])("is TOKEN_MALFORMED with %s, though one of our keys signed it", (_name, changes, headerChanges) => {
    expect(read(signed(changes, headerChanges))).toEqual({ granted: false, refusal: { code: "TOKEN_MALFORMED", facts: {} } });
  });

  it.each([
    ["nothing", ""],
    ["an HMAC token", `frp_MHg_${iat}_${"0".repeat(64)}`],
    ["a padded part", `${signed()}=`],
    ["a sub twice", signJws(header, `{"sub":"x",${JSON.stringify(payload).slice(1)}`, seedOf(1))],
    ["no signature", `${signed().split(".").slice(0, 2).join(".")}.`],
    ["a signature of 65 bytes", `${signed().split(".").slice(0, 2).join(".")}.${Buffer.alloc(65).toString("base64url")}`],
  ])("is TOKEN_MALFORMED as %s", (_name, text) => {
    expect(codeOf(read(text))).toBe("TOKEN_MALFORMED");
  });

  it.each([
    undefined,
    null,
    1,
    "",
    "../../etc/passwd",
    "' or 1=1 --",
    "1795309034123-00c0ffe",
    `${newId}\n`,
    "1795309034999-00c0ffee",
    [newId],
  ])("is TOKEN_KEY_UNKNOWN with kid %j", (kid) => {
    expect(codeOf(read(signed({}, { kid })))).toBe("TOKEN_KEY_UNKNOWN");
  });

  it("never has a kid that is not the id of a key of ours by its form, even if a list had it", () => {
    for (const id of ["../token-hmac/1", `/${newId}`, `${newId}/`]) {
      expect(codeOf(read(signed({}, { kid: id }), [keyOf(1, id)]))).toBe("TOKEN_KEY_UNKNOWN");
    }
  });

  it("is TOKEN_KEY_UNKNOWN once its key is retired, and when two keys have its id", () => {
    expect(codeOf(read(signed(), [keyOf(2, oldId)]))).toBe("TOKEN_KEY_UNKNOWN");
    expect(codeOf(read(signed(), []))).toBe("TOKEN_KEY_UNKNOWN");
    expect(codeOf(read(signed(), [keyOf(1, newId), keyOf(2, newId)]))).toBe("TOKEN_KEY_UNKNOWN");
  });

  it.each([
    ["another of our keys made it", signed({}, {}, 2)],
    ["it is for another issuer", signed({ iss: "other.example.org" })],
    ["it is for another audience", signed({ aud: "other.example.org" })],
    ["its audience is a list", signed({ aud: [domain] })],
    ["it names two labels", signed({ subdomain: other })],
    ["it names no subdomain", signed({ subdomain: undefined })],
    ["its payload was changed", [signed().split(".")[0], encodePart({ ...payload, iat: iat + 1 }), signed().split(".")[2]].join(".")],
  ])("is TOKEN_SIGNATURE when %s", (_name, text) => {
    expect(codeOf(read(text))).toBe("TOKEN_SIGNATURE");
  });

  it("never makes the reader throw, whatever it holds", () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>(label, domain, iat, newId));
    const claims = fc.record(Object.fromEntries(Object.keys(payload).map((name) => [name, value])), { requiredKeys: [] });
    fc.assert(
      fc.property(claims, value, (body, kid) => {
        const text = signJws({ ...header, kid }, { ...payload, ...body }, seedOf(3));
        expect(["TOKEN_MALFORMED", "TOKEN_KEY_UNKNOWN", "TOKEN_SIGNATURE"]).toContain(codeOf(read(text)));
      }),
    );
  });
});
