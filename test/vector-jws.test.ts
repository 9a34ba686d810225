/**
 * Wycheproof's vectors for JOSE against what reads a JWS here. Keyhole accepts one algorithm, EdDSA, for which Wycheproof
 * has no JWS; and it imports no JWK. So every group of the three files stands in a table below with how it is used, and the
 * table must cover each file to the last test:
 *
 * - `hmac`: HS256. Read with our compact parser and our MAC check, which stand behind the HMAC tokens: must be what Wycheproof says.
 * - `structure`: the same mutations over an algorithm that we lack. They are done to a JWS of ours, as those of `hmac` are,
 *   so that nothing but the mutation can be why it is refused.
 * - `algorithm`: nothing but an algorithm or an encryption that we lack. No reader may take it.
 * - `key`: a JWK that must be refused on import. We import none: our keys are files of 32 bytes, named by their id.
 *
 * And no text of any group, good or bad, is ever taken by the readers of JWT.
 */
import { readFileSync } from "node:fs";
import {
  decodeBase64Url,
  deriveTunnelJwtClaims,
  type Label,
  parseCompactJws,
  parseJws,
  parseLabel,
  parseStellarJwt,
  publicKeyOfSeed,
  readTunnelJwt,
  signEd25519,
  tunnelJwtType,
  verifyWithRing,
} from "@keyhole/core";
import { describe, expect, test } from "vitest";

type Jwk = Readonly<Record<string, unknown>>;
type Case = { readonly tcId: number; readonly result: string; readonly comment: string; readonly jws?: unknown; readonly jwe?: unknown };
type Group = { readonly comment: string; readonly private?: Jwk; readonly public?: Jwk; readonly tests: readonly Case[] };
type VectorFile = { readonly numberOfTests: number; readonly testGroups: readonly Group[] };
type VectorName = "signature" | "key" | "crypto";
type Use = "hmac" | "structure" | "algorithm" | "key";

const readVectors = (name: VectorName): VectorFile =>
  JSON.parse(readFileSync(new URL(`./vectors/wycheproof/json_web_${name}_test.json`, import.meta.url), "utf8"));
const files: readonly (readonly [VectorName, VectorFile])[] = (["signature", "key", "crypto"] as const).map((name) => [
  name,
  readVectors(name),
]);

/** How the groups of each file are used, in their order: comment of the group, number of its tests, use. */
const uses: Readonly<Record<VectorName, readonly (readonly [comment: string, tests: number, use: Use])[]>> = {
  signature: [
    ["hs256", 17, "hmac"],
    ["es256", 15, "structure"],
    ["rs256", 226, "structure"],
    ["rs256", 5, "algorithm"],
    ["rs384", 4, "algorithm"],
    ["rs512", 4, "algorithm"],
    ["ps256", 48, "algorithm"],
    ["ps384", 5, "algorithm"],
    ["ps512", 20, "algorithm"],
    ["rfc7520", 1, "algorithm"],
    ["rfc7520", 1, "algorithm"],
    ["rfc7520", 1, "algorithm"],
    ["rfc7520", 1, "hmac"],
    ["rfc7520WithKeyOps", 1, "algorithm"],
    ["rfc7520WithKeyOps", 1, "algorithm"],
    ["rfc7520WithKeyOps", 1, "algorithm"],
    ["rfc7520", 1, "hmac"],
    ["rsa_encryption", 1, "key"],
    ["ec_key_for_encryption", 1, "key"],
    ["rsa_encryption", 1, "key"],
    ["ec_key_for_encryption", 1, "key"],
    ["base64", 21, "hmac"],
    ["SpecialCaseEs256", 24, "algorithm"],
  ],
  key: [
    ["jws_mixedSymmetryKeyset", 1, "key"],
    ["jws_keyset", 2, "hmac"],
    ["jws_duplicate_kid", 1, "hmac"],
    ["rs256", 1, "algorithm"],
    ["rs256", 1, "key"],
    ["jws_rsa_roca_key", 1, "key"],
    ["keysize_too_small", 1, "key"],
    ["exponentOne", 1, "key"],
    ["HS256", 1, "key"],
    ["HS384", 1, "algorithm"],
    ["HS512", 1, "algorithm"],
    ["HS256", 1, "hmac"],
    ["HS384", 1, "algorithm"],
    ["HS512", 1, "algorithm"],
    ["HS256", 1, "key"],
    ["HS384", 1, "algorithm"],
    ["HS512", 1, "algorithm"],
    ["wrong_algorithm", 1, "key"],
    ["invalid_algorithm", 1, "key"],
    ["invalid_use", 1, "key"],
    ["invalid_point", 1, "key"],
    ["wrong_curve", 1, "key"],
    ["wrong_kty", 1, "key"],
    ["invalid_aes_gcm_key", 1, "key"],
    ["invalid_aes_kw_key", 1, "key"],
  ],
  crypto: [
    ["jws_aes", 17, "hmac"],
    ["jws_ec", 15, "structure"],
    ["jws_rsa", 13, "structure"],
    ["jws_rsa_roca_key", 1, "key"],
    ["jws_mixedSymmetryKeyset", 1, "key"],
    ["jws_keyset", 2, "hmac"],
    ["jwe_aes", 17, "algorithm"],
    ["jwe_ec", 17, "algorithm"],
  ],
};

/** Where we differ from Wycheproof on HS256, by number of the test in the file of signatures. */
const differences: ReadonlyMap<number, string> = new Map([
  [367, "valid here: it is to show padding, but its text is that of 357, letter by letter"],
  [370, "valid here: it is to show padding in the payload, but its text is that of 357, letter by letter"],
  [372, "refused here: a character that is none of base64url may not be passed over"],
  [373, "refused here: a character that is none of base64url may not be passed over"],
]);

const domain = "tunnel.example.org";
const kid = "1795309034123-00c0ffee";
const seed = new Uint8Array(32).fill(1);
const keys = [{ id: kid, publicKey: publicKeyOfSeed(seed) }];
const label = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
const issuedAt = new Date(1_707_091_200_000);
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = deriveTunnelJwtClaims({ label, kind: "jwt", issuedAt, expiresAt: new Date(issuedAt.getTime() + 1000) }, domain);
const signedText = `${encode({ alg: "EdDSA", typ: tunnelJwtType, kid })}.${encode(claims)}`;
const ours = `${signedText}.${Buffer.from(signEd25519(Buffer.from(signedText), seed)).toString("base64url")}`;
const isTunnelJwt = (text: string): boolean => readTunnelJwt(text, keys, domain).granted;

const textOf = ({ jws, jwe }: Case): string => {
  const text = jws ?? jwe;
  return typeof text === "string" ? text : JSON.stringify(text);
};

/** The groups of a file that are used so, each with its name. */
function groupsFor(name: VectorName, file: VectorFile, ...wanted: readonly Use[]): readonly (readonly [string, Group])[] {
  return file.testGroups.flatMap((group, index) => {
    const use = uses[name][index]?.[2];
    return use !== undefined && wanted.includes(use) ? [[`${name}: ${group.comment}`, group] as const] : [];
  });
}
const groupsOf = (...wanted: readonly Use[]) => files.flatMap(([name, file]) => groupsFor(name, file, ...wanted));

/** HS256 as our own parts do it: the strict parser, one key by its id, and the MAC check of the HMAC tokens. */
function isHs256(text: string, group: Group): boolean {
  const jws = parseCompactJws(text);
  if (jws === undefined || jws.header["alg"] !== "HS256") return false;
  const all = (group.private?.["keys"] ?? [group.private]) as readonly Jwk[];
  const [key, ...more] = all.filter((jwk) => jwk["kid"] === jws.header["kid"]);
  const secret = decodeBase64Url(String(key?.["k"]));
  if (secret === undefined || more.length > 0 || jws.signature.length !== 32) return false;
  return verifyWithRing({ keys: [{ id: kid, secret }] }, jws.signedText, Buffer.from(jws.signature).toString("hex"), "hex");
}

describe.each(files)("Wycheproof's json_web_%s", (name, file) => {
  test("is in the table to its last test", () => {
    expect(file.testGroups.map(({ comment, tests }) => [comment, tests.length])).toEqual(
      uses[name].map(([comment, tests]) => [comment, tests]),
    );
    expect(uses[name].reduce((sum, [, tests]) => sum + tests, 0)).toBe(file.numberOfTests);
  });

  test("holds no text that a reader of JWT takes, or throws at", () => {
    const texts = file.testGroups.flatMap((group) => group.tests.map(textOf));
    expect(texts).toHaveLength(file.numberOfTests);
    for (const text of texts) {
      expect(isTunnelJwt(text)).toBe(false);
      expect(parseStellarJwt(text, { audience: "G", now: issuedAt }).granted).toBe(false);
      expect(parseJws(text)?.header["alg"]).not.toBe("EdDSA");
    }
  });
});

test.each(groupsOf("hmac"))("%s is judged as Wycheproof says, but for the listed differences", (name, group) => {
  for (const vector of group.tests) {
    const isDifferent = name.startsWith("signature") && differences.has(vector.tcId);
    expect([vector.tcId, isHs256(textOf(vector), group)]).toEqual([vector.tcId, (vector.result === "valid") !== isDifferent]);
  }
});

test("the vectors that are to show padding show none: they are the text of another one that is valid", () => {
  const texts = new Map(
    groupsOf("hmac").flatMap(([name, group]) => group.tests.map((vector) => [`${name} ${vector.tcId}`, textOf(vector)])),
  );
  for (const number of [367, 370]) expect(texts.get(`signature: base64 ${number}`)).toBe(texts.get("signature: base64 357"));
});

const groupsWithReference = groupsOf("hmac", "structure").filter(
  ([, { tests }]) => tests[0]?.comment === "acceptsValid" && tests.length > 2,
);

test("six groups begin with a good text, and their mutations can be transplanted", () => {
  expect(groupsWithReference.map(([name]) => name)).toEqual([
    "signature: hs256",
    "signature: es256",
    "signature: rs256",
    "crypto: jws_aes",
    "crypto: jws_ec",
    "crypto: jws_rsa",
  ]);
});

test.each(groupsWithReference)("%s, done to a tunnel token of ours: what is invalid there is refused here", (_name, { tests }) => {
  const [reference, ...mutations] = tests as [Case, ...Case[]];
  const theirParts = textOf(reference).split(".");
  const ourParts = ours.split(".");
  /** What they left as it was becomes ours; what they altered, left out or added stays as they made it. */
  const transplant = (text: string): string =>
    text
      .split(".")
      .map((part) => ourParts[theirParts.indexOf(part)] ?? part)
      .join(".");
  expect(isTunnelJwt(transplant(textOf(reference)))).toBe(true);
  for (const mutation of mutations) {
    expect(mutation.result).toBe("invalid");
    expect([mutation.tcId, isTunnelJwt(transplant(textOf(mutation)))]).toEqual([mutation.tcId, false]);
  }
});
