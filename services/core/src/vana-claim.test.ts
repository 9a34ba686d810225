import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressOfPrivateKey, signPersonalMessage } from "./eip191.ts";
import { printIdentity } from "./identity.ts";
import { codeOf, encodePart } from "./jws-for-tests.ts";
import { parseVanaClaim } from "./vana-claim.ts";

const keyOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const addressOf = (fill: number): string => printIdentity({ namespace: "eip155", address: addressOfPrivateKey(keyOf(fill)) });
const [server, owner, stranger] = [1, 2, 3] as const;
const audience = "https://tunnel.vana.org";
const iat = 1_707_091_200;
const runId = "cdb53304-9330-440a-9074-9b6a838ebcc0";

type Changes = Readonly<Record<string, unknown>>;

/** The metadatas of a login: a claim with these changes, signed by this key, and these metadatas instead of the right ones. */
function metasOf({ claim = {}, metas = {}, signer = server as number }: { claim?: Changes; metas?: Changes; signer?: number } = {}) {
  const wallet = addressOf(server);
  const claims = { aud: audience, iat, exp: iat + 300, owner: addressOf(owner), wallet, subdomain: wallet.toLowerCase(), runId };
  const text = encodePart({ ...claims, ...claim });
  const sent = { wallet, owner: addressOf(owner), run_id: runId, auth_claim: text, auth_sig: signPersonalMessage(text, keyOf(signer)) };
  return { ...sent, ...metas } as Readonly<Record<string, string>>;
}

const parseAt = (seconds: number, metas: Readonly<Record<string, string>>) =>
  parseVanaClaim(metas, { audience, now: new Date(seconds * 1000) });
const refusalOf = (metas: Readonly<Record<string, string>>, seconds = iat): unknown => {
  const verdict = parseAt(seconds, metas);
  return verdict.granted ? "granted" : verdict.refusal;
};
const checkAt = (seconds: number, metas: Readonly<Record<string, string>>) => {
  const verdict = parseAt(seconds, metas);
  return verdict.granted ? verdict.value.check() : verdict;
};

describe("a Vana claim", () => {
  it("says whose it is and until when, its exp and a minute, once its signature is checked", () => {
    const wallet = addressOf(server).toLowerCase();
    expect(checkAt(iat, metasOf())).toEqual({
      granted: true,
      value: {
        label: wallet,
        wallet,
        owner: addressOf(owner).toLowerCase(),
        signer: wallet,
        issuedAt: new Date(iat * 1000),
        endsAt: new Date((iat + 360) * 1000),
        needs: "registration",
      },
    });
  });

  it.each([
    [
      "nothing, when one key is wallet, owner and signer",
      "nothing",
      { claim: { owner: addressOf(server) }, metas: { owner: addressOf(server) } },
    ],
    ["that the wallet is a registered server, when the wallet signed", "registration", {}],
    ["that the owner owns the wallet, when the owner signed", "owner-of-wallet", { signer: owner }],
  ])("needs to be confirmed: %s", (_name, needs, order) => {
    const verdict = checkAt(iat, metasOf(order));
    expect(verdict.granted && verdict.value.needs).toBe(needs);
  });

  it("that is signed by neither wallet nor owner is SIGNER_MISMATCH", () => {
    expect(checkAt(iat, metasOf({ signer: stranger }))).toEqual({ granted: false, refusal: { code: "SIGNER_MISMATCH", facts: {} } });
    const altered = metasOf();
    expect(
      codeOf(
        checkAt(iat, {
          ...altered,
          auth_claim: encodePart({ ...JSON.parse(Buffer.from(altered["auth_claim"] ?? "", "base64url").toString()), iat: iat + 1 }),
        }),
      ),
    ).toBe("SIGNER_MISMATCH");
  });

  it("may say more than we know, up to 2048 characters", () => {
    expect(codeOf(checkAt(iat, metasOf({ claim: { more: "x".repeat(1000), nested: { a: [1] } } })))).toBe("granted");
  });

  it("may have addresses in any letter case, in claim and metadatas", () => {
    const lower = addressOf(server).toLowerCase();
    const upper = `0x${lower.slice(2).toUpperCase()}`;
    expect(codeOf(checkAt(iat, metasOf({ claim: { wallet: upper }, metas: { wallet: lower } })))).toBe("granted");
  });

  it.each([
    ["wallet", { metas: { wallet: undefined } }],
    ["wallet", { metas: { wallet: addressOf(server).slice(0, -1) } }],
    ["wallet", { metas: { wallet: `${addressOf(server)}\n` } }],
    ["wallet", { metas: { wallet: "0x0000000000000000000000000000000000000000" } }],
    ["owner", { metas: { owner: undefined } }],
    ["owner", { metas: { owner: "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2H" } }],
    ["run_id", { metas: { run_id: undefined } }],
    ["run_id", { metas: { run_id: "" } }],
    ["run_id", { metas: { run_id: "x".repeat(129) } }],
    ["auth_sig", { metas: { auth_sig: undefined } }],
    ["auth_sig", { metas: { auth_sig: "0x" } }],
    ["auth_sig", { metas: { auth_sig: `0x${"1".repeat(128)}` } }],
    ["auth_sig", { metas: { auth_sig: `0x${"1".repeat(128)}1d` } }],
    ["auth_sig", { metas: { auth_sig: `0x${"A".repeat(128)}1b` } }],
    ["auth_sig", { metas: { auth_sig: `0x${"1".repeat(128)}00` } }],
    ["auth_sig", { metas: { auth_sig: `x0x${"1".repeat(128)}1b` } }],
    ["auth_sig", { metas: { auth_sig: `0x${"1".repeat(128)}1b00` } }],
    ["auth_claim", { metas: { auth_claim: undefined } }],
    ["auth_claim", { metas: { auth_claim: "" } }],
    ["auth_claim", { metas: { auth_claim: `${metasOf()["auth_claim"]}=` } }],
    ["auth_claim", { metas: { auth_claim: ` ${metasOf()["auth_claim"]}` } }],
    ["auth_claim", { metas: { auth_claim: "A".repeat(2049) } }],
    ["auth_claim", { metas: { auth_claim: encodePart([]) } }],
    ["auth_claim", { metas: { auth_claim: encodePart('{"iat":1,"iat":2}') } }],
    ["auth_claim", { claim: { more: "x".repeat(1500) } }],
    ["aud", { claim: { aud: undefined } }],
    ["aud", { claim: { aud: [audience] } }],
    ["iat", { claim: { iat: undefined } }],
    ["iat", { claim: { iat: String(iat) } }],
    ["iat", { claim: { iat: -1 } }],
    ["exp", { claim: { exp: iat + 0.5 } }],
    ["exp", { claim: { exp: iat } }],
    ["exp", { claim: { exp: 2 ** 53 } }],
    ["owner", { claim: { owner: 1 } }],
    ["owner", { claim: { owner: [addressOf(owner)] } }],
    ["wallet", { claim: { wallet: null } }],
    ["wallet", { claim: { wallet: [addressOf(server)] } }],
    ["subdomain", { claim: { subdomain: undefined } }],
    ["runId", { claim: { runId: 7 } }],
    ["runId", { claim: { runId: "x".repeat(129) } }],
  ])("is CLAIM_MALFORMED, and says so of %s, with %j", (field, order) => {
    expect(refusalOf(metasOf(order))).toEqual({ code: "CLAIM_MALFORMED", facts: { field } });
  });

  it("for another service is CLAIM_AUDIENCE", () => {
    for (const aud of ["https://storage.vana.org", `${audience}/`, audience.toUpperCase()]) {
      expect(refusalOf(metasOf({ claim: { aud } }))).toEqual({ code: "CLAIM_AUDIENCE", facts: {} });
    }
  });

  it.each([
    ["wallet", { metas: { wallet: addressOf(stranger) } }],
    ["wallet", { claim: { wallet: addressOf(stranger), subdomain: addressOf(stranger).toLowerCase() } }],
    ["owner", { metas: { owner: addressOf(stranger) } }],
    ["owner", { claim: { owner: addressOf(stranger) } }],
    ["subdomain", { claim: { subdomain: addressOf(owner).toLowerCase() } }],
    ["subdomain", { claim: { subdomain: addressOf(server) } }],
    ["runId", { metas: { run_id: "another" } }],
    ["runId", { claim: { runId: runId.toUpperCase() } }],
  ])("is CLAIM_INCONSISTENT, and says so of %s, with %j", (field, order) => {
    expect(refusalOf(metasOf(order))).toEqual({ code: "CLAIM_INCONSISTENT", facts: { field } });
  });

  it("lives ten minutes and not a second longer: CLAIM_LIFE_TOO_LONG", () => {
    expect(refusalOf(metasOf({ claim: { exp: iat + 600 } }))).toBe("granted");
    expect(refusalOf(metasOf({ claim: { exp: iat + 601 } }))).toEqual({ code: "CLAIM_LIFE_TOO_LONG", facts: { seconds: 601 } });
    expect(codeOf(parseAt(iat, metasOf({ claim: { exp: Number.MAX_SAFE_INTEGER } })))).toBe("CLAIM_LIFE_TOO_LONG");
  });

  it("is good until a minute after its exp, and CLAIM_EXPIRED from then on", () => {
    const exp = iat + 300;
    expect(refusalOf(metasOf(), exp + 59)).toBe("granted");
    expect(refusalOf(metasOf(), exp + 59.999)).toBe("granted");
    expect(refusalOf(metasOf(), exp + 60)).toEqual({ code: "CLAIM_EXPIRED", facts: { seconds: 60 } });
    expect(refusalOf(metasOf(), exp + 61)).toEqual({ code: "CLAIM_EXPIRED", facts: { seconds: 61 } });
  });

  it("may be issued a minute ahead of our clock, and is CLOCK_SKEW beyond that", () => {
    expect(refusalOf(metasOf(), iat - 60)).toBe("granted");
    expect(refusalOf(metasOf(), iat - 60.001)).toEqual({ code: "CLOCK_SKEW", facts: { seconds: 61 } });
    expect(refusalOf(metasOf(), iat - 61)).toEqual({ code: "CLOCK_SKEW", facts: { seconds: 61 } });
  });

  it("is refused for its signature last: SIGNATURE_INVALID, SIGNATURE_NON_CANONICAL", () => {
    const zero = metasOf({ metas: { auth_sig: `0x${"0".repeat(128)}1b` } });
    expect(refusalOf(zero, iat + 3600)).toMatchObject({ code: "CLAIM_EXPIRED" });
    expect(codeOf(checkAt(iat, zero))).toBe("SIGNATURE_INVALID");
    const good = metasOf()["auth_sig"] ?? "";
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const highS = (order - BigInt(`0x${good.slice(66, 130)}`)).toString(16).padStart(64, "0");
    const twin = good.slice(0, 66) + highS + (good.endsWith("1b") ? "1c" : "1b");
    expect(codeOf(checkAt(iat, metasOf({ metas: { auth_sig: twin } })))).toBe("SIGNATURE_NON_CANONICAL");
  });

  it("never makes the reader throw, whatever it holds", () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>(addressOf(server), audience, iat, iat + 60, runId));
    const names = ["aud", "iat", "exp", "owner", "wallet", "subdomain", "runId"];
    const claim = fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] });
    const metas = fc.record(
      { wallet: fc.string(), owner: fc.string(), run_id: fc.string(), auth_claim: fc.string(), auth_sig: fc.string() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(claim, metas, (changes, sent) => {
        checkAt(iat, metasOf({ claim: changes, metas: sent, signer: stranger }));
        checkAt(iat, sent as Readonly<Record<string, string>>);
      }),
    );
  });
});
