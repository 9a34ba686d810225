/**
 * Credentials of real clients, byte for byte (`vectors/interop.json`, made with the libraries that those clients use): each
 * is admitted or refused as its `use` says. Where we are stricter than the library that the client talks to today, the title
 * says why. What a registry has to confirm is said, not decided, here.
 */
import { readFileSync } from "node:fs";
import {
  mintTunnelToken,
  parseLabel,
  parseStellarJwt,
  parseVanaClaim,
  readTunnelJwt,
  readTunnelToken,
  type StellarJwt,
  type VanaClaim,
  type Verdict,
} from "@keyhole/core";
import { deriveLoginKey } from "@keyhole/frp";
import { describe, expect, test } from "vitest";

type Vector = Readonly<Record<string, unknown>> & { readonly id: string; readonly use: string };

const { vectors } = JSON.parse(readFileSync(new URL("./vectors/interop.json", import.meta.url), "utf8")) as { vectors: readonly Vector[] };
const vectorOf = (id: string): Vector => {
  const vector = vectors.find((candidate) => candidate.id === id);
  if (vector === undefined) throw new Error(`no vector ${id}`);
  return vector;
};
const idsOf = (prefix: string): readonly string[] => vectors.map(({ id }) => id).filter((id) => id.startsWith(prefix));
const textIn = (vector: Vector, name: string): string => String(vector[name]);
const outcomeOf = (verdict: Verdict<unknown>): unknown => (verdict.granted ? "granted" : verdict.refusal);

const now = (vector: Vector, seconds: number): Date => new Date(Number(vector["nowForTest"] ?? seconds) * 1000);

describe("a claim of Vana's personal server", () => {
  const iat = 1_707_091_200;
  const server = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
  const owner = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

  const check = (id: string): Verdict<VanaClaim> => {
    const vector = vectorOf(id);
    const settings = { audience: "https://tunnel.vana.org", now: now(vector, iat + 10) };
    const verdict = parseVanaClaim(vector["metas"] as Readonly<Record<string, string>>, settings);
    return verdict.granted ? verdict.value.check() : verdict;
  };

  const admitted: readonly (readonly [id: string, title: string, expected: Pick<VanaClaim, "owner" | "signer" | "needs">])[] = [
    [
      "server-signed",
      "signed by the server's key: a registry must know it as its owner's",
      { owner, signer: server, needs: "registration" },
    ],
    [
      "owner-signed",
      "signed by the owner's key: a registry must know the wallet as his",
      { owner, signer: owner, needs: "owner-of-wallet" },
    ],
    ["owner-is-wallet", "of one key that is all three: nothing to confirm", { owner: server, signer: server, needs: "nothing" }],
    [
      "hijack-owner-signed",
      "1: with which somebody says that he owns his victim's wallet: never without a registry that says so (the documented rule asks nobody)",
      { owner, signer: owner, needs: "owner-of-wallet" },
    ],
  ];

  const refused: readonly (readonly [id: string, title: string, refusal: object])[] = [
    ["expired", "61 s after its exp", { code: "CLAIM_EXPIRED", facts: { seconds: 61 } }],
    ["future", "61 s before its iat", { code: "CLOCK_SKEW", facts: { seconds: 61 } }],
    ["wrong-aud", "for another service", { code: "CLAIM_AUDIENCE", facts: {} }],
    ["subdomain-mismatch", "for somebody else's subdomain", { code: "CLAIM_INCONSISTENT", facts: { field: "subdomain" } }],
    ["long-ttl", "that is good for a year", { code: "CLAIM_LIFE_TOO_LONG", facts: { seconds: 31_536_000 } }],
  ];

  test.each(admitted)("%s: %s", (id, _title, expected) => {
    const times = { issuedAt: new Date(iat * 1000), endsAt: new Date((iat + 360) * 1000) };
    expect(check(`vana.claim.${id}`)).toEqual({ granted: true, value: { label: server, wallet: server, ...times, ...expected } });
  });

  test.each(refused)("%s is refused: %s", (id, _title, refusal) => {
    expect(outcomeOf(check(`vana.claim.${id}`))).toEqual(refusal);
  });

  test("has a row here for every vector there is", () => {
    expect([...admitted, ...refused].map(([id]) => `vana.claim.${id}`).sort()).toEqual([...idsOf("vana.claim.")].sort());
  });
});

describe("a JWT of HVYM's clients", () => {
  const iat = 1_706_745_600;
  const keys = vectorOf("hvym.keys") as Vector & Readonly<Record<"server" | "client", { address: string; publicHex: string }>>;
  const label = keys.client.address.toLowerCase();

  const check = (id: string): Verdict<StellarJwt> => {
    const vector = vectorOf(id);
    const verdict = parseStellarJwt(textIn(vector, "jwt"), { audience: keys.server.address, now: now(vector, iat) });
    return verdict.granted ? verdict.value.check() : verdict;
  };

  const admitted: readonly (readonly [id: string, services: readonly string[]])[] = [
    ["seed-style", ["pintheon"]],
    ["challenge", ["pintheon"]],
    ["multi-service", ["pintheon", "ipfs"]],
  ];

  const refused: readonly (readonly [id: string, title: string, refusal: object])[] = [
    ["expired", "61 s after its exp", { code: "JWT_EXPIRED", facts: { expiredAt: iat + 3600, serverTime: iat + 3661 } }],
    ["wrong-aud", "for another server", { code: "JWT_AUDIENCE", facts: {} }],
    ["wrong-iss", "of another issuer", { code: "JWT_ISSUER", facts: {} }],
    ["alg-none", "without an algorithm, though the signature is right", { code: "JWT_ALGORITHM", facts: {} }],
    ["bad-signature", "with one bit of the signature flipped", { code: "SIGNATURE_INVALID", facts: {} }],
    [
      "no-exp",
      "it never ends, and a tunnel has no challenge that would bind it to this login (HVYM's library takes it)",
      { code: "JWT_MALFORMED", facts: { field: "exp" } },
    ],
    ["kid-mismatch", "it names two keys, and only one can be meant (HVYM's library ignores kid)", { code: "JWT_KEY_MISMATCH", facts: {} }],
    [
      "future-iat",
      "the newest credential wins, so one from tomorrow would win all day (HVYM's library does not look)",
      { code: "JWT_NOT_YET_VALID", facts: { validFrom: iat + 86_400, serverTime: iat } },
    ],
  ];

  test.each(admitted)("%s is admitted for the label of its account", (id, services) => {
    const identity = { namespace: "stellar", publicKey: Uint8Array.from(Buffer.from(keys.client.publicHex, "hex")) };
    const times = { issuedAt: new Date(iat * 1000), endsAt: new Date((iat + 3660) * 1000) };
    expect(check(`hvym.jwt.${id}`)).toEqual({ granted: true, value: { label, identity, ...times, services } });
  });

  test.each(refused)("%s is refused: %s", (id, _title, refusal) => {
    expect(outcomeOf(check(`hvym.jwt.${id}`))).toEqual(refusal);
  });

  test("has a row here for every vector there is", () => {
    expect([...admitted, ...refused].map(([id]) => `hvym.jwt.${id}`).sort()).toEqual([...idsOf("hvym.jwt.")].sort());
  });
});

describe("a tunnel token that another server might have made", () => {
  const proposal = vectorOf("vana.seed.tokenA.proposal");
  const decoded = vectorOf("vana.seed.tokenA.example-decoded");
  const jwt = vectorOf("vana.seed.tokenB.hs256");
  const secretOf = (vector: Vector, name: string): Uint8Array => Buffer.from(textIn(vector, name), "utf8");
  const key = { id: "1", secret: secretOf(proposal, "secret") };

  test("tokenA.proposal is refused even with its secret: our MAC is over the last underscore too, and the rest is the same", () => {
    expect(outcomeOf(readTunnelToken(textIn(proposal, "token"), { keys: [key] }))).toEqual({ code: "TOKEN_SIGNATURE", facts: {} });
    const label = parseLabel(proposal["wallet"]);
    if (label === undefined) throw new Error("the wallet has no label");
    const ours = mintTunnelToken({ label, issuedAt: new Date(Number(proposal["timestamp"]) * 1000) }, key);
    expect(ours.slice(0, -64)).toBe(`${textIn(proposal, "macInput")}_`);
    expect(ours.slice(0, -64)).toContain(`_${textIn(proposal, "base64Wallet")}_`);
    expect(outcomeOf(readTunnelToken(ours, { keys: [key] }))).toBe("granted");
  });

  test("tokenA.example-decoded names no address, so a token of it is malformed", () => {
    expect(Buffer.from(textIn(decoded, "base64"), "base64url").toString()).toBe(decoded["decoded"]);
    const text = `frp_${textIn(decoded, "base64")}_1707091200_${"0".repeat(64)}`;
    expect(outcomeOf(readTunnelToken(text, { keys: [key] }))).toEqual({ code: "TOKEN_MALFORMED", facts: {} });
  });

  test("tokenB.hs256 is no tunnel token, and a secret is never taken for a public key", () => {
    const text = textIn(jwt, "jwt");
    const secret = secretOf(jwt, "secretUtf8");
    expect(outcomeOf(readTunnelToken(text, { keys: [{ id: "1", secret }] }))).toEqual({ code: "TOKEN_MALFORMED", facts: {} });
    const keys = [{ id: "1795309034123-00c0ffee", publicKey: secret }];
    expect(outcomeOf(readTunnelJwt(text, keys, "vana-tunnel-service"))).toEqual({ code: "TOKEN_MALFORMED", facts: {} });
    expect(outcomeOf(parseStellarJwt(text, { audience: "", now: now(jwt, 1_707_091_200) }))).toEqual({ code: "JWT_ALGORITHM", facts: {} });
  });
});

test("frp.privilege_key: what frpc sends for an auth.token is md5 over token and time", () => {
  const cases = vectorOf("frp.privilege_key")["cases"] as readonly { token: string; timestamp: number; privilege_key: string }[];
  expect(cases).toHaveLength(2);
  for (const { token, timestamp, privilege_key } of cases) expect(deriveLoginKey(token, timestamp)).toBe(privilege_key);
});
