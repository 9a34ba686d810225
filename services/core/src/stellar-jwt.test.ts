import fc from "fast-check";
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { publicKeyOfSeed } from "./ed25519.ts";
import { codeOf, encodePart, signJws } from "./jws-for-tests.ts";
import { parseLabel } from "./label.ts";
import { encodeStellarAccount } from "./stellar-account.ts";
import { parseStellarJwt } from "./stellar-jwt.ts";

const seed = new Uint8Array(32).fill(1);
const stranger = new Uint8Array(32).fill(3);
const account = encodeStellarAccount(publicKeyOfSeed(seed));
const audience = encodeStellarAccount(publicKeyOfSeed(new Uint8Array(32).fill(2)));
const iat = 1_706_745_600;
const header = { alg: "EdDSA", typ: "JWT", kid: account };
const payload = { iss: "hvym_tunnler", sub: account, aud: audience, iat, services: ["pintheon"], exp: iat + 3600 };
const settingsAt = (seconds: number) => ({ audience, now: new Date(seconds * 1000) });

const parseAt = (seconds: number, text: string) => parseStellarJwt(text, settingsAt(seconds));
const signed = (changes: object = {}, headerChanges: object = {}, key = seed): string =>
  signJws({ ...header, ...headerChanges }, { ...payload, ...changes }, key);
const refusalOf = (text: string, seconds = iat): unknown => {
  const verdict = parseAt(seconds, text);
  return verdict.granted ? "granted" : verdict.refusal;
};

describe("a Stellar JWT", () => {
  it("says whose it is and until when, its exp and a minute, once its signature is checked", () => {
    const verdict = parseAt(iat, signed());
    if (!verdict.granted) throw new Error(verdict.refusal.code);
    const claims = {
      label: parseLabel(account.toLowerCase()),
      identity: { namespace: "stellar", publicKey: Uint8Array.from(publicKeyOfSeed(seed)) },
      issuedAt: new Date(iat * 1000),
      endsAt: new Date((iat + 3660) * 1000),
      services: ["pintheon"],
    };
    expect(verdict.value.claims).toEqual(claims);
    expect(verdict.value.check()).toEqual({ granted: true, value: claims });
  });

  it("that jose made is checked like any other", async () => {
    const jwk = {
      kty: "OKP",
      crv: "Ed25519",
      d: Buffer.from(seed).toString("base64url"),
      x: Buffer.from(publicKeyOfSeed(seed)).toString("base64url"),
    };
    const text = await new SignJWT(payload).setProtectedHeader(header).sign(jwk);
    const verdict = parseAt(iat, text);
    expect(verdict.granted && verdict.value.check().granted).toBe(true);
  });

  it.each([
    ["no kid", {}, { kid: undefined }],
    ["no typ", {}, { typ: undefined }],
    ["a typ in lower case", {}, { typ: "jwt" }],
    ["no services", { services: undefined }, {}],
    ["claims that we do not know", { challenge: "x", nested: { a: [1] } }, { cty: "x" }],
    ["an nbf that has come", { nbf: iat }, {}],
  ])("may have %s", (_name, changes, headerChanges) => {
    const verdict = parseAt(iat, signed(changes, headerChanges));
    expect(verdict.granted && verdict.value.check().granted).toBe(true);
  });

  it("lists the services that it names, sixteen at most, and none where it names none", () => {
    const servicesOf = (services: unknown): unknown => {
      const verdict = parseAt(iat, signed({ services }));
      return verdict.granted && verdict.value.claims.services;
    };
    const sixteen = Array.from({ length: 16 }, (_, index) => `service ${index}`);
    expect([servicesOf(undefined), servicesOf([]), servicesOf(sixteen)]).toEqual([[], [], sixteen]);
  });

  it.each([
    ["no exp", { exp: undefined }, "exp"],
    ["an exp that is a text", { exp: String(iat + 60) }, "exp"],
    ["an exp with a fraction", { exp: iat + 0.5 }, "exp"],
    ["an exp that is no safe integer", { exp: 2 ** 53 }, "exp"],
    ["an exp that is its iat", { exp: iat }, "exp"],
    ["an exp before its iat", { exp: iat - 1 }, "exp"],
    ["no iat", { iat: undefined }, "iat"],
    ["a negative iat", { iat: -1 }, "iat"],
    ["an iat that is null", { iat: null }, "iat"],
    ["an nbf that is a text", { nbf: "0" }, "nbf"],
    ["no iss", { iss: undefined }, "iss"],
    ["an iss that is a list", { iss: ["hvym_tunnler"] }, "iss"],
    ["no aud", { aud: undefined }, "aud"],
    ["an empty aud", { aud: "" }, "aud"],
    ["an aud that is a list", { aud: [audience] }, "aud"],
    ["an aud of 257 characters", { aud: "x".repeat(257) }, "aud"],
    ["no sub", { sub: undefined }, "sub"],
    ["a sub with a wrong checksum", { sub: `${account.slice(0, -1)}${account.endsWith("A") ? "B" : "A"}` }, "sub"],
    ["a sub in lower case", { sub: account.toLowerCase() }, "sub"],
    ["an EVM sub", { sub: "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" }, "sub"],
    ["a sub whose key is of small order", { sub: "GAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADF5" }, "sub"],
    ["services that are a text", { services: "pintheon" }, "services"],
    ["17 services", { services: Array(17).fill("a") }, "services"],
    ["a service that is a number", { services: [1] }, "services"],
    ["one good service and one that is none", { services: ["pintheon", 1] }, "services"],
    ["a service with a line feed", { services: ["a\nb"] }, "services"],
    ["a service of 65 characters", { services: ["x".repeat(65)] }, "services"],
  ])("is JWT_MALFORMED with %s", (_name, changes, field) => {
    expect(refusalOf(signed(changes))).toEqual({ code: "JWT_MALFORMED", facts: { field } });
  });

  it.each([
    ["a sub twice", signJws(header, `{"sub":"x",${JSON.stringify(payload).slice(1)}`, seed)],
    ["crit", signed({}, { crit: ["exp"] })],
    ["its own key", signed({}, { jwk: { kty: "OKP" } })],
    ["nothing at all", ""],
  ])("is JWT_MALFORMED with %s", (_name, text) => {
    expect(refusalOf(text)).toEqual({ code: "JWT_MALFORMED", facts: {} });
  });

  it.each([
    ["the type of a tunnel token", signed({}, { typ: "keyhole-tunnel+jwt" }), "typ"],
    ["a typ that is no text", signed({}, { typ: { toString: 1 } }), "typ"],
    ["a signature of 63 bytes", `${signed().split(".").slice(0, 2).join(".")}.${Buffer.alloc(63, 1).toString("base64url")}`, "signature"],
  ])("is JWT_MALFORMED with %s, and says so", (_name, text, field) => {
    expect(refusalOf(text)).toEqual({ code: "JWT_MALFORMED", facts: { field } });
  });

  it.each(["none", "None", "eddsa", "HS256", "ES256", "Ed25519", undefined, null, ["EdDSA"]])("is JWT_ALGORITHM with alg %s", (alg) => {
    expect(refusalOf(signed({}, { alg }))).toEqual({ code: "JWT_ALGORITHM", facts: {} });
  });

  it.each([
    ["JWT_ISSUER", { iss: "other" }, {}],
    ["JWT_AUDIENCE", { aud: account }, {}],
    ["JWT_KEY_MISMATCH", {}, { kid: audience }],
    ["JWT_KEY_MISMATCH", {}, { kid: null }],
    ["JWT_KEY_MISMATCH", {}, { kid: "../../etc/passwd" }],
  ])("is %s with %j %j", (code, changes, headerChanges) => {
    expect(refusalOf(signed(changes, headerChanges))).toEqual({ code, facts: {} });
  });

  it("lives an hour and not a second longer: JWT_LIFE_TOO_LONG", () => {
    expect(refusalOf(signed({ exp: iat + 3600 }))).toBe("granted");
    expect(refusalOf(signed({ exp: iat + 3601 }))).toEqual({ code: "JWT_LIFE_TOO_LONG", facts: { seconds: 3601 } });
    expect(codeOf(parseAt(iat, signed({ exp: Number.MAX_SAFE_INTEGER })))).toBe("JWT_LIFE_TOO_LONG");
  });

  it("is good until a minute after its exp, and JWT_EXPIRED from then on", () => {
    const exp = iat + 3600;
    expect(refusalOf(signed(), exp + 59)).toBe("granted");
    expect(refusalOf(signed(), exp + 59.999)).toBe("granted");
    const facts = { expiredAt: exp, serverTime: exp + 60 };
    expect(refusalOf(signed(), exp + 60)).toEqual({ code: "JWT_EXPIRED", facts });
    expect(refusalOf(signed(), exp + 61)).toEqual({ code: "JWT_EXPIRED", facts: { ...facts, serverTime: exp + 61 } });
  });

  it("may be issued a minute ahead of our clock, and is JWT_NOT_YET_VALID beyond that, by its nbf too", () => {
    expect(refusalOf(signed(), iat - 60)).toBe("granted");
    expect(refusalOf(signed(), iat - 61)).toEqual({ code: "JWT_NOT_YET_VALID", facts: { validFrom: iat, serverTime: iat - 61 } });
    expect(refusalOf(signed({ nbf: iat + 60 }))).toBe("granted");
    expect(refusalOf(signed({ nbf: iat + 61 }))).toEqual({ code: "JWT_NOT_YET_VALID", facts: { validFrom: iat + 61, serverTime: iat } });
    const last = Number.MAX_SAFE_INTEGER;
    expect(codeOf(parseAt(iat, signed({ iat: last - 1, exp: last })))).toBe("JWT_NOT_YET_VALID");
  });

  it("is refused for its signature last, and only when that is asked for: SIGNATURE_INVALID", () => {
    const unsigned = `${signed().split(".").slice(0, 2).join(".")}.${Buffer.alloc(64).toString("base64url")}`;
    for (const text of [signed({}, {}, stranger), unsigned]) {
      const verdict = parseAt(iat, text);
      expect(verdict.granted && codeOf(verdict.value.check())).toBe("SIGNATURE_INVALID");
    }
    expect(codeOf(parseAt(iat + 7200, signed({}, {}, stranger)))).toBe("JWT_EXPIRED");
  });

  it("never makes the reader throw, whatever its claims hold", () => {
    const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom(account, audience, "hvym_tunnler", iat, iat + 60));
    const claims = fc.record(Object.fromEntries(["iss", "sub", "aud", "iat", "exp", "nbf", "services"].map((name) => [name, value])), {
      requiredKeys: [],
    });
    const heads = fc.record({ alg: fc.constantFrom("EdDSA", "none"), typ: value, kid: value }, { requiredKeys: ["alg"] });
    fc.assert(
      fc.property(heads, claims, (head, body) => {
        const text = `${encodePart(head)}.${encodePart({ ...payload, ...body })}.${Buffer.alloc(64, 1).toString("base64url")}`;
        const verdict = parseAt(iat, text);
        if (verdict.granted) expect(codeOf(verdict.value.check())).toBe("SIGNATURE_INVALID");
      }),
    );
  });
});
