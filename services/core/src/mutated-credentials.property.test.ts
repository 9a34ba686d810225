/**
 * What a good credential becomes when it is altered. None of the readers takes anything but the text that was made: no
 * character may change, no part may move, nothing may be added, and nothing has a second spelling.
 */
import fc from "fast-check";
import { importJWK, jwtVerify } from "jose";
import { expect, test } from "vitest";
import { publicKeyOfSeed } from "./ed25519.ts";
import { addressOfPrivateKey, signPersonalMessage } from "./eip191.ts";
import { encodePart, signJws } from "./jws-for-tests.ts";
import type { KeyRing } from "./key-ring.ts";
import { type Label, parseLabel } from "./label.ts";
import { encodeStellarAccount } from "./stellar-account.ts";
import { parseStellarJwt } from "./stellar-jwt.ts";
import { mintTicket, readTicket } from "./ticket.ts";
import { deriveTunnelJwtClaims, readTunnelJwt, tunnelJwtType } from "./tunnel-jwt.ts";
import { mintTunnelToken, readTunnelToken } from "./tunnel-token.ts";
import { parseVanaClaim } from "./vana-claim.ts";

const iat = 1_707_091_200;
const issuedAt = new Date(iat * 1000);
const now = issuedAt;
const seed = new Uint8Array(32).fill(1);
const ring: KeyRing = { keys: [{ id: "1", secret: new Uint8Array(32).fill(9) }] };
const account = encodeStellarAccount(publicKeyOfSeed(seed));
const label = parseLabel(account.toLowerCase()) as Label;
const [domain, kid] = ["tunnel.example.org", "1795309034123-00c0ffee"];
const wallet = `0x${Buffer.from(addressOfPrivateKey(seed)).toString("hex")}`;
const [audience, runId] = ["https://tunnel.vana.org", "cdb53304-9330-440a-9074-9b6a838ebcc0"];
const claim = encodePart({ aud: audience, iat, exp: iat + 300, owner: wallet, wallet, subdomain: wallet, runId });
const metas = { wallet, owner: wallet, run_id: runId, auth_claim: claim, auth_sig: signPersonalMessage(claim, seed) };

type Credential = { readonly name: string; readonly good: string; accepts(text: string): boolean };

const acceptsClaim = (changes: Readonly<Record<string, string>>): boolean => {
  const verdict = parseVanaClaim({ ...metas, ...changes }, { audience, now });
  return verdict.granted && verdict.value.check().granted;
};

const tunnelRecord = { label, kind: "jwt", issuedAt, expiresAt: new Date(issuedAt.getTime() + 3_600_000) } as const;
const tunnelJwt: Credential = {
  name: "tunnel token in its JWT form",
  good: signJws({ alg: "EdDSA", typ: tunnelJwtType, kid }, deriveTunnelJwtClaims(tunnelRecord, domain), seed),
  accepts: (text) => readTunnelJwt(text, [{ id: kid, publicKey: publicKeyOfSeed(seed) }], domain).granted,
};

const credentials: readonly Credential[] = [
  {
    name: "tunnel token",
    good: mintTunnelToken({ label, issuedAt }, ring.keys[0]),
    accepts: (text) => readTunnelToken(text, ring).granted,
  },
  tunnelJwt,
  {
    name: "Stellar JWT",
    good: signJws(
      { alg: "EdDSA", typ: "JWT", kid: account },
      { iss: "hvym_tunnler", sub: account, aud: account, iat, services: ["a"], exp: iat + 60 },
      seed,
    ),
    accepts(text) {
      const verdict = parseStellarJwt(text, { audience: account, now });
      return verdict.granted && verdict.value.check().granted;
    },
  },
  { name: "Vana claim", good: claim, accepts: (text) => acceptsClaim({ auth_claim: text }) },
  { name: "signature of a Vana claim", good: metas.auth_sig, accepts: (text) => acceptsClaim({ auth_sig: text }) },
  {
    name: "ticket",
    good: mintTicket(
      label,
      { generation: 1, issuedAt, endsAt: new Date(issuedAt.getTime() + 1000), kind: "jwt" },
      ring,
      new Uint8Array(16).fill(7),
    ),
    accepts: (text) => readTicket(label, text, ring) !== undefined,
  },
];

/** Every way in which somebody may alter a text of parts that stand between dots or underscores. */
function mutationsOf(good: string): fc.Arbitrary<string> {
  const separator = good.includes(".") ? "." : "_";
  const parts = good.split(separator);
  const at = fc.nat(good.length - 1);
  const likely = fc.constantFrom(..."ABYZabyz0189+/=-_. \n\0é");
  const partAt = fc.nat(parts.length - 1);
  const replacePart = (index: number, part: string): string => parts.map((old, place) => (place === index ? part : old)).join(separator);
  return fc.oneof(
    fc.tuple(at, likely).map(([place, character]) => good.slice(0, place) + character + good.slice(place + 1)),
    fc.tuple(at, fc.nat(6)).map(([place, bit]) => {
      const flipped = String.fromCharCode(good.charCodeAt(place) ^ (1 << bit));
      return good.slice(0, place) + flipped + good.slice(place + 1);
    }),
    fc.tuple(at, likely).map(([place, character]) => good.slice(0, place) + character + good.slice(place)),
    fc.tuple(at, at).map(([from, to]) => good.slice(Math.min(from, to), Math.max(from, to))),
    fc.tuple(at, at).map(([place, length]) => good.slice(0, place) + good.slice(place + length + 1)),
    fc.oneof(likely, fc.string()).map((more) => good + more),
    fc.oneof(likely, fc.string()).map((more) => more + good),
    fc.shuffledSubarray(parts, { minLength: 0 }).map((some) => some.join(separator)),
    fc.tuple(partAt, partAt).map(([from, to]) => replacePart(to, parts[from] ?? "")),
    partAt.map((index) => replacePart(index, Buffer.from(parts[index] ?? "", "base64url").toString("base64"))),
    partAt.map((index) => replacePart(index, `${parts[index]}${"=".repeat(1 + (index % 2))}`)),
    partAt.map((index) => replacePart(index, Buffer.from(` ${Buffer.from(parts[index] ?? "", "base64url")}`).toString("base64url"))),
    fc.constantFrom(good.toUpperCase(), good.toLowerCase(), good + good, encodeURIComponent(`${good}=`), `"${good}"`),
  );
}

test.each(credentials)("a $name is taken as it was made, and altered in any way it never is", ({ good, accepts }) => {
  expect(accepts(good)).toBe(true);
  fc.assert(
    fc.property(mutationsOf(good), (text) => {
      expect([text, accepts(text)]).toEqual([text, text === good]);
    }),
    { numRuns: 500 },
  );
});

test("what is read as a tunnel token in its JWT form is one to jose too, and jose takes spellings that are refused here", async () => {
  const key = await importJWK({ kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKeyOfSeed(seed)).toString("base64url") }, "EdDSA");
  const options = { algorithms: ["EdDSA"], typ: tunnelJwtType, issuer: domain, audience: domain, currentDate: now };
  const isTaken = async (text: string): Promise<boolean> => {
    const taken = await jwtVerify(text, key, options).catch(() => undefined);
    return taken !== undefined;
  };
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.constant(tunnelJwt.good), mutationsOf(tunnelJwt.good)), async (text) => {
      if (tunnelJwt.accepts(text)) expect(await isTaken(text)).toBe(true);
    }),
  );
  for (const respelled of [`${tunnelJwt.good}\n`, `${tunnelJwt.good}==`]) {
    expect([await isTaken(respelled), tunnelJwt.accepts(respelled)]).toEqual([true, false]);
  }
});
