import {
  addressOfPrivateKey,
  mintTunnelToken,
  parseLabel,
  printIdentity,
  publicKeyOfSeed,
  type Refusal,
  signEd25519,
  signPersonalMessage,
  type Verdict,
} from "@keyhole/core";
import { deriveLoginKey, type LoginContent } from "@keyhole/frp";
import { describe, expect, it } from "vitest";
import { type Credential, isFailedProof, type Presented, readCredential } from "./credential.ts";

const label = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed");
if (label === undefined) throw new Error("a label of forty hexadecimal digits is one");
const now = new Date("2026-11-22T12:00:00Z");
const seconds = now.getTime() / 1000;
const timestamp = 1795309034;
const macKey = { id: "1", secret: new Uint8Array(32).fill(9) };
const jwtKey = { id: "1700000000000-0123abcd", seed: new Uint8Array(32).fill(11) };
const settings = {
  tokenKeys: () => ({ keys: [macKey] as const }),
  verifyKeys: () => [{ id: jwtKey.id, publicKey: publicKeyOfSeed(jwtKey.seed) }],
  domain: "example",
  stellarAddress: (): string | undefined => "GBWH4G3VBBR6V6B3H64UFOFZSP7ZKKUJ5BQP32WD7YHPWHUUBTYVRN5Q",
  audience: "https://tunnel.vana.org",
  now: () => now,
};

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
function jwtOf(header: object, payload: object): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${Buffer.from(signEd25519(Buffer.from(text), jwtKey.seed)).toString("base64url")}`;
}
const hmac = mintTunnelToken({ label, issuedAt: now }, macKey);
const jwt = jwtOf(
  { alg: "EdDSA", typ: "keyhole-tunnel+jwt", kid: jwtKey.id },
  { iss: "example", aud: "example", sub: label, subdomain: label, iat: seconds, exp: seconds + 60 },
);
const stellar = jwtOf({ alg: "EdDSA", typ: "JWT" }, { iss: "hvym_tunnler" });
const claim = encode({ aud: "x" });

function read(fields: { readonly metas?: Record<string, string>; readonly privilegeKey?: string }): Verdict<Presented> {
  const { metas = {}, privilegeKey = deriveLoginKey("", timestamp) } = fields;
  return readCredential({ metas, privilegeKey, timestamp } as LoginContent, settings);
}
function codeOf(fields: Parameters<typeof read>[0]): string {
  const found = read(fields);
  return found.granted ? found.value.kind : found.refusal.code;
}
function check(fields: Parameters<typeof read>[0]): Credential | string {
  const found = read(fields);
  if (!found.granted) return found.refusal.code;
  const checked = found.value.check();
  return checked.granted ? checked.value : checked.refusal.code;
}

describe("a credential in its place", () => {
  it("is of its kind, and says whose it is and when it was issued", () => {
    expect(check({ metas: { token: hmac } })).toEqual({ label, kind: "hmac", issuedAt: now });
    const token = { label, kind: "jwt", issuedAt: now, endsAt: new Date(now.getTime() + 60_000) };
    expect(check({ metas: { token: jwt } })).toEqual(token);
    expect(check({ privilegeKey: jwt })).toEqual(token);
    expect([codeOf({ metas: { token: jwt } }), codeOf({ privilegeKey: jwt })]).toEqual(["jwt", "jwt"]);
  });

  it("of a Stellar account says whose it is, and that it is good for a minute after its own end", () => {
    const account = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(jwtKey.seed) });
    const signed = {
      iss: "hvym_tunnler",
      sub: account,
      aud: settings.stellarAddress(),
      iat: seconds,
      exp: seconds + 600,
      services: ["pintheon"],
    };
    const fields = { metas: { jwt: jwtOf({ alg: "EdDSA", typ: "JWT" }, signed) } };
    expect(codeOf(fields)).toBe("stellar-jwt");
    expect(check(fields)).toEqual({
      label: account.toLowerCase(),
      kind: "stellar-jwt",
      issuedAt: now,
      endsAt: new Date(now.getTime() + 660_000),
      services: ["pintheon"],
    });
    const late = { metas: { jwt: jwtOf({ alg: "EdDSA", typ: "JWT" }, { ...signed, iat: seconds - 700, exp: seconds - 60 }) } };
    expect([codeOf(late), check({ metas: { jwt: jwtOf({ alg: "EdDSA" }, { ...signed, aud: account }) } })]).toEqual([
      "JWT_EXPIRED",
      "JWT_AUDIENCE",
    ]);
    expect(check({ metas: { jwt: `${fields.metas.jwt.slice(0, -6)}AAAAAA` } })).toBe("SIGNATURE_INVALID");
  });

  it("of a personal server says whose it is, until when it is good, and what a registry has to confirm", () => {
    const wallet = `0x${Buffer.from(addressOfPrivateKey(jwtKey.seed)).toString("hex")}`;
    const metasOf = (changes: object): Record<string, string> => {
      const signed = { aud: settings.audience, iat: seconds, exp: seconds + 300, owner: label, wallet, subdomain: wallet, runId: "r" };
      const text = encode({ ...signed, ...changes });
      return { wallet, owner: label, run_id: "r", auth_claim: text, auth_sig: signPersonalMessage(text, jwtKey.seed) };
    };
    const times = { issuedAt: now, endsAt: new Date(now.getTime() + 360_000) };
    expect(codeOf({ metas: metasOf({}) })).toBe("claim");
    expect(check({ metas: metasOf({}) })).toEqual({
      label: wallet,
      kind: "claim",
      ...times,
      claim: { label: wallet, wallet, owner: label, signer: wallet, needs: "registration", ...times },
    });
    expect(codeOf({ metas: metasOf({ aud: "https://tunnel.example" }) })).toBe("CLAIM_AUDIENCE");
    expect(codeOf({ metas: metasOf({ iat: seconds - 300, exp: seconds - 60 }) })).toBe("CLAIM_EXPIRED");
    const forged = { ...metasOf({}), auth_claim: metasOf({ exp: seconds + 299 })["auth_claim"] ?? "" };
    expect(check({ metas: forged })).toBe("SIGNER_MISMATCH");
  });

  it.each([
    [{ metas: { token: `${hmac}0` } }, "TOKEN_MALFORMED"],
    [{ metas: { token: " " } }, "TOKEN_MALFORMED"],
    [{ metas: { token: "a.b.c" } }, "TOKEN_MALFORMED"],
    [{ metas: { token: "xeyJ0" } }, "TOKEN_MALFORMED"],
    [{ metas: { token: "eyJ0*" } }, "TOKEN_MALFORMED"],
    [{ metas: { token: `${encode(null)}.${encode(5)}.x` } }, "TOKEN_MALFORMED"],
    [{ metas: { jwt: `${jwt}.x` } }, "JWT_MALFORMED"],
    [{ metas: { jwt: jwt.slice(0, jwt.lastIndexOf(".")) } }, "JWT_MALFORMED"],
    [{ metas: { token: `${jwt.slice(0, -6)}AAAAAA` } }, "TOKEN_SIGNATURE"],
    [{ metas: { token: `A${jwt.slice(1)}` } }, "TOKEN_MALFORMED"],
    [{ metas: { jwt: stellar } }, "JWT_MALFORMED"],
    [{ metas: { jwt: "x" } }, "JWT_MALFORMED"],
    [{ metas: { auth_claim: claim } }, "CLAIM_MALFORMED"],
    [{ metas: { auth_sig: "0x" } }, "CLAIM_MALFORMED"],
    [{ metas: { wallet: "0x" } }, "CLAIM_MALFORMED"],
    [{ metas: { owner: "0x" } }, "CLAIM_MALFORMED"],
    [{ metas: { run_id: "x" } }, "CLAIM_MALFORMED"],
    [{ metas: { token: jwt.slice(0, 40) } }, "TOKEN_MALFORMED"],
    [{ privilegeKey: "x" }, "TOKEN_FILE_MALFORMED"],
    [{ privilegeKey: "x".repeat(31) }, "TOKEN_FILE_MALFORMED"],
    [{ privilegeKey: "0".repeat(33) }, "TOKEN_FILE_MALFORMED"],
    [{ privilegeKey: `${jwt}.x` }, "TOKEN_FILE_MALFORMED"],
    [{ privilegeKey: `${jwt}\n` }, "TOKEN_FILE_MALFORMED"],
    [{ privilegeKey: `${jwt.slice(0, -6)}AAAAAA` }, "TOKEN_SIGNATURE"],
  ] as const)("13: is refused as its reader does (%#)", (fields, code) => {
    expect(check(fields)).toBe(code);
  });
});

describe("a login key", () => {
  it("13: of a token means that the token is in auth.token, also when another credential is there", () => {
    for (const privilegeKey of [deriveLoginKey("x", timestamp), "0".repeat(32), "F".repeat(32)]) {
      expect(codeOf({ privilegeKey })).toBe("CREDENTIAL_IN_AUTH_TOKEN");
      expect(codeOf({ privilegeKey, metas: { token: hmac } })).toBe("CREDENTIAL_IN_AUTH_TOKEN");
    }
  });
  it("13: that is empty is what an empty token-source file gives", () => {
    expect(codeOf({ privilegeKey: "" })).toBe("CREDENTIAL_MISSING");
  });
  it("13: that is a tunnel JWT cut anywhere says that the file is not whole", () => {
    for (let length = 1; length < jwt.length; length += 1)
      expect([length, check({ privilegeKey: jwt.slice(0, length) })]).toEqual([length, "TOKEN_FILE_MALFORMED"]);
  });
});

describe("where nothing may be", () => {
  it.each([
    [{ metas: { jwt: hmac } }],
    [{ metas: { jwt } }],
    [{ metas: { jwt: claim } }],
    [{ metas: { token: stellar } }],
    [{ metas: { token: claim } }],
    [{ metas: { auth_claim: hmac } }],
    [{ metas: { auth_claim: jwt } }],
    [{ metas: { auth_claim: stellar } }],
    [{ privilegeKey: hmac }],
    [{ privilegeKey: stellar }],
    [{ privilegeKey: claim }],
  ])("13: a credential of another kind is misplaced (%#)", (fields) => {
    expect(codeOf(fields)).toBe("CREDENTIAL_MISPLACED");
  });

  it("13: of two, whichever they are, none is taken", () => {
    const each = [{ token: hmac }, { jwt: stellar }, { auth_claim: claim }, { auth_sig: "0x" }];
    for (const [index, first] of each.entries()) {
      expect(codeOf({ metas: first, privilegeKey: jwt })).toBe("CREDENTIAL_TWICE");
      for (const second of each.slice(index + 1))
        expect(codeOf({ metas: { ...first, ...second } })).toBe("auth_claim" in first ? "CLAIM_MALFORMED" : "CREDENTIAL_TWICE");
    }
  });

  it("13: none at all is missing; what is empty is none", () => {
    for (const metas of [{}, { token: "", jwt: "", auth_claim: "", auth_sig: "", wallet: "" }, { color: "blue" }])
      expect(codeOf({ metas })).toBe("CREDENTIAL_MISSING");
    expect(codeOf({ metas: { token: hmac, wallet: "x", run_id: "y" } })).toBe("hmac");
  });
});

it("a Stellar JWT waits while our own account is not known", () => {
  const login = { metas: { jwt: stellar }, privilegeKey: deriveLoginKey("", timestamp), timestamp } as unknown as LoginContent;
  expect(readCredential(login, { ...settings, stellarAddress: () => undefined })).toMatchObject({ refusal: { code: "STARTING_UP" } });
});

it("only what a signature was looked at for is a failed proof", () => {
  const of = (code: Refusal["code"]): boolean => isFailedProof({ code, facts: {} });
  for (const code of ["TOKEN_SIGNATURE", "SIGNATURE_INVALID", "SIGNATURE_NON_CANONICAL", "SIGNATURE_LENGTH", "SIGNER_MISMATCH"] as const)
    expect(of(code)).toBe(true);
  for (const code of ["TOKEN_MALFORMED", "TOKEN_KEY_UNKNOWN", "CLAIM_EXPIRED", "JWT_AUDIENCE"] as const) expect(of(code)).toBe(false);
});
