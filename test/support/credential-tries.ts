/**
 * Every way in which a credential can be wrong at Login, with the code that refuses it: the manual's table is generated from
 * here, and a test tries each through the real frps.
 */
import { createHash } from "node:crypto";
import type { RefusalCode } from "@keyhole/core";
import {
  type EvmHolder,
  makeClaim,
  makeHmacToken,
  makeStellarJwt,
  makeTunnelJwt,
  type StellarHolder,
  secondsFromNow,
} from "./credentials.ts";

/** What a Login carries of a credential. */
export type LoginFields = { readonly metas?: Readonly<Record<string, string>>; readonly privilege_key?: string; readonly user?: string };

/** Who tries, on whom, and the keys of this server: only so can a good credential of any age be made. */
export type TryWorld = {
  readonly domain: string;
  readonly mine: EvmHolder;
  readonly theirs: EvmHolder;
  readonly myAccount: StellarHolder;
  readonly theirAccount: StellarHolder;
  /** The server's Stellar address. */
  readonly audience: string;
  readonly hmac: Buffer;
  readonly retiredHmac: Buffer;
  readonly jwt: ServerKey;
  readonly retiredJwt: ServerKey;
  /** Revokes everything that this wallet was given or has signed until now. */
  revoke(holder: EvmHolder | StellarHolder): Promise<void>;
};

type ServerKey = { readonly id: string; readonly seed: Buffer };

/** One way, and what is to be answered. */
export type CredentialTry = {
  readonly credential: "tunnel token" | "tunnel JWT" | "Vana claim" | "Stellar JWT" | "any";
  readonly what: string;
  readonly code: RefusalCode;
  readonly login: (world: TryWorld) => LoginFields | Promise<LoginFields>;
  /** Logs in before, and stays. */
  readonly before?: (world: TryWorld) => LoginFields | Promise<LoginFields>;
};

const day = 86_400;
const hmac = ({ mine, hmac }: TryWorld, changes: { label?: string; age?: number; secret?: Buffer } = {}): string =>
  makeHmacToken({ label: changes.label ?? mine.label, issuedAt: secondsFromNow(-(changes.age ?? 0)), secret: changes.secret ?? hmac });
const jwt = ({ mine, jwt, domain }: TryWorld, changes: { label?: string; age?: number; key?: ServerKey; domain?: string } = {}): string => {
  const issuedAt = secondsFromNow(-(changes.age ?? 0));
  const token = { label: changes.label ?? mine.label, issuedAt, endsAt: issuedAt + day, domain: changes.domain ?? domain };
  return makeTunnelJwt(token, changes.key ?? jwt);
};
const stellar = ({ myAccount, audience }: TryWorld, payload: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string =>
  makeStellarJwt(myAccount, audience, { payload, header });
const life = (age: number, seconds: number): { iat: number; exp: number } => ({
  iat: secondsFromNow(-age),
  exp: secondsFromNow(seconds - age),
});
const token = (text: string): LoginFields => ({ metas: { token: text } });
const inKey = (text: string): LoginFields => ({ privilege_key: text });
const account = (text: string): LoginFields => ({ metas: { jwt: text } });
const parts = (text: string): readonly string[] => text.split(".");

/** Them all, in the order of the manual's table. */
export const credentialTries: readonly CredentialTry[] = [
  { credential: "any", what: "none at all", code: "CREDENTIAL_MISSING", login: () => ({}) },
  { credential: "any", what: "an empty token-source file", code: "CREDENTIAL_MISSING", login: () => inKey("") },

  ...(
    [
      [
        "in auth.token",
        "CREDENTIAL_IN_AUTH_TOKEN",
        (w) =>
          inKey(
            createHash("md5")
              .update(`${hmac(w)}1`)
              .digest("hex"),
          ),
      ],
      ["in a token-source file (auth.method oidc)", "CREDENTIAL_MISPLACED", (w) => inKey(hmac(w))],
      ["in metadatas.jwt", "CREDENTIAL_MISPLACED", (w) => account(hmac(w))],
      ["in metadatas.auth_claim", "CREDENTIAL_MISPLACED", (w) => ({ metas: { auth_claim: hmac(w) } })],
      ["and a tunnel JWT beside it", "CREDENTIAL_TWICE", (w) => ({ ...token(hmac(w)), ...inKey(jwt(w)) })],
      ["and a Stellar JWT beside it", "CREDENTIAL_TWICE", (w) => ({ metas: { token: hmac(w), jwt: stellar(w) } })],
      ["and a Vana claim beside it", "CREDENTIAL_TWICE", async (w) => ({ metas: { token: hmac(w), ...(await makeClaim(w.mine)) } })],
      [
        "whose MAC is of another wallet's token",
        "TOKEN_SIGNATURE",
        (w) => token(hmac(w).slice(0, -64) + hmac(w, { label: w.theirs.label }).slice(-64)),
      ],
      ["made for another wallet by a changed label", "TOKEN_SIGNATURE", (w) => token(spliceLabel(hmac(w), w.theirs.label))],
      ["cut by a character", "TOKEN_MALFORMED", (w) => token(hmac(w).slice(0, -1))],
      ["with a space after it", "TOKEN_MALFORMED", (w) => token(`${hmac(w)} `)],
      ["a second after its end", "TOKEN_EXPIRED", (w) => token(hmac(w, { age: day + 1 }))],
      ["issued ten seconds from now", "TOKEN_NOT_YET_VALID", (w) => token(hmac(w, { age: -10 }))],
      ["of a key that is retired", "TOKEN_SIGNATURE", (w) => token(hmac(w, { secret: w.retiredHmac }))],
      ["of another server's key", "TOKEN_SIGNATURE", (w) => token(hmac(w, { secret: Buffer.alloc(32, 7) }))],
      ["that its wallet has revoked", "TOKEN_REVOKED", (w) => afterRevoking(w, w.mine, () => token(hmac(w, { age: 2 })))],
      ["under another wallet's user", "USER_MISMATCH", (w) => ({ ...token(hmac(w)), user: w.theirs.label })],
    ] satisfies readonly Row[]
  ).map(rowOf("tunnel token")),
  {
    credential: "tunnel token",
    what: "older than the one that serves",
    code: "NEWER_CREDENTIAL_IN_USE",
    before: (w) => token(hmac(w)),
    login: (w) => token(hmac(w, { age: 60 })),
  },

  ...(
    [
      ["in metadatas.jwt", "CREDENTIAL_MISPLACED", (w) => account(jwt(w))],
      ["in metadatas.auth_claim", "CREDENTIAL_MISPLACED", (w) => ({ metas: { auth_claim: jwt(w) } })],
      ["in both of its places", "CREDENTIAL_TWICE", (w) => ({ ...token(jwt(w)), ...inKey(jwt(w)) })],
      [
        "whose signature is of another wallet's",
        "TOKEN_SIGNATURE",
        (w) => token([...parts(jwt(w)).slice(0, 2), parts(jwt(w, { label: w.theirs.label }))[2]].join(".")),
      ],
      ["without its signature", "TOKEN_MALFORMED", (w) => token(`${parts(jwt(w)).slice(0, 2).join(".")}.`)],
      ["cut by a character", "TOKEN_MALFORMED", (w) => token(jwt(w).slice(0, -1))],
      ["cut by a character, in a token-source file", "TOKEN_FILE_MALFORMED", (w) => inKey(jwt(w).slice(0, -1))],
      ["with padding", "TOKEN_MALFORMED", (w) => token(`${jwt(w)}==`)],
      ["a second after its end", "TOKEN_EXPIRED", (w) => token(jwt(w, { age: day + 1 }))],
      ["issued ten seconds from now", "TOKEN_NOT_YET_VALID", (w) => token(jwt(w, { age: -10 }))],
      ["of a key that is retired", "TOKEN_KEY_UNKNOWN", (w) => token(jwt(w, { key: w.retiredJwt }))],
      [
        "of a key that bears the name of ours",
        "TOKEN_SIGNATURE",
        (w) => token(jwt(w, { key: { id: w.jwt.id, seed: Buffer.alloc(32, 7) } })),
      ],
      ["of another server", "TOKEN_SIGNATURE", (w) => token(jwt(w, { domain: "other.example" }))],
      ["that its wallet has revoked", "TOKEN_REVOKED", (w) => afterRevoking(w, w.mine, () => inKey(jwt(w, { age: 2 })))],
      ["under another wallet's user", "USER_MISMATCH", (w) => ({ ...inKey(jwt(w)), user: w.theirs.label })],
    ] satisfies readonly Row[]
  ).map(rowOf("tunnel JWT")),
  {
    credential: "tunnel JWT",
    what: "older than the one that serves",
    code: "NEWER_CREDENTIAL_IN_USE",
    before: (w) => inKey(jwt(w)),
    login: (w) => inKey(jwt(w, { age: 60 })),
  },

  ...(
    [
      ["in metadatas.token", "CREDENTIAL_MISPLACED", async (w) => token((await makeClaim(w.mine)).auth_claim)],
      ["in a token-source file", "CREDENTIAL_MISPLACED", async (w) => inKey((await makeClaim(w.mine)).auth_claim)],
      ["and a Stellar JWT beside it", "CREDENTIAL_TWICE", async (w) => ({ metas: { ...(await makeClaim(w.mine)), jwt: stellar(w) } })],
      ["without its signature", "CLAIM_MALFORMED", async (w) => ({ metas: { ...(await makeClaim(w.mine)), auth_sig: "" } })],
      ["cut by a character", "CLAIM_MALFORMED", async (w) => cutClaim(w)],
      [
        "with the signature of another claim",
        "SIGNER_MISMATCH",
        async (w) => ({ metas: { ...(await makeClaim(w.mine)), auth_sig: (await makeClaim(w.theirs)).auth_sig } }),
      ],
      [
        "a second after its end and the minute beyond",
        "CLAIM_EXPIRED",
        async (w) => ({ metas: await makeClaim(w.mine, { claim: life(361, 300) }) }),
      ],
      ["issued more than a minute from now", "CLOCK_SKEW", async (w) => ({ metas: await makeClaim(w.mine, { claim: life(-65, 300) }) })],
      ["good for a year", "CLAIM_LIFE_TOO_LONG", async (w) => ({ metas: await makeClaim(w.mine, { claim: life(0, 365 * day) }) })],
      [
        "for another service",
        "CLAIM_AUDIENCE",
        async (w) => ({ metas: await makeClaim(w.mine, { claim: { aud: "https://storage.vana.org" } }) }),
      ],
      [
        "of another run than the login's",
        "CLAIM_INCONSISTENT",
        async (w) => ({ metas: await makeClaim(w.mine, { metas: { run_id: "another" } }) }),
      ],
      [
        "with another's subdomain",
        "CLAIM_INCONSISTENT",
        async (w) => ({ metas: await makeClaim(w.mine, { claim: { subdomain: w.theirs.label } }) }),
      ],
      [
        "for another's wallet",
        "SIGNER_MISMATCH",
        async (w) => ({ metas: await makeClaim(w.mine, { wallet: w.theirs.address, owner: w.theirs.address }) }),
      ],
      [
        "for another's wallet, as its owner",
        "GATEWAY_UNAVAILABLE",
        async (w) => ({ metas: await makeClaim(w.mine, { wallet: w.theirs.address, owner: w.mine.address }) }),
      ],
      [
        "that its wallet has revoked",
        "TOKEN_REVOKED",
        (w) => afterRevoking(w, w.mine, async () => ({ metas: await makeClaim(w.mine, { claim: life(2, 300) }) })),
      ],
      ["under another wallet's user", "USER_MISMATCH", async (w) => ({ metas: await makeClaim(w.mine), user: w.theirs.label })],
    ] satisfies readonly Row[]
  ).map(rowOf("Vana claim")),
  {
    credential: "Vana claim",
    what: "older than the newest that was here",
    code: "CREDENTIAL_OUTDATED",
    before: async (w) => ({ metas: await makeClaim(w.mine) }),
    login: async (w) => ({ metas: await makeClaim(w.mine, { claim: life(30, 300) }) }),
  },

  ...(
    [
      ["in metadatas.token", "CREDENTIAL_MISPLACED", (w) => token(stellar(w))],
      ["in a token-source file", "CREDENTIAL_MISPLACED", (w) => inKey(stellar(w))],
      ["and a tunnel JWT beside it", "CREDENTIAL_TWICE", (w) => ({ ...account(stellar(w)), ...inKey(jwt(w)) })],
      [
        "with the signature of another",
        "SIGNATURE_INVALID",
        (w) => account([...parts(stellar(w)).slice(0, 2), parts(stellar(w, { services: [] }))[2]].join(".")),
      ],
      ["cut by a character", "JWT_MALFORMED", (w) => account(stellar(w).slice(0, -1))],
      ["without an end", "JWT_MALFORMED", (w) => account(stellar(w, { exp: undefined }))],
      ["with alg none", "JWT_ALGORITHM", (w) => account(stellar(w, {}, { alg: "none" }))],
      ["of another kind of issuer", "JWT_ISSUER", (w) => account(stellar(w, { iss: "other" }))],
      ["for another server", "JWT_AUDIENCE", (w) => account(stellar(w, { aud: w.theirAccount.address }))],
      ["whose kid is another account", "JWT_KEY_MISMATCH", (w) => account(stellar(w, {}, { kid: w.theirAccount.address }))],
      ["good for two hours", "JWT_LIFE_TOO_LONG", (w) => account(stellar(w, life(0, 7200)))],
      ["a second after its end and the minute beyond", "JWT_EXPIRED", (w) => account(stellar(w, life(3661, 3600)))],
      ["issued more than a minute from now", "JWT_NOT_YET_VALID", (w) => account(stellar(w, life(-65, 600)))],
      [
        "for another's account",
        "SIGNATURE_INVALID",
        (w) => account(stellar(w, { sub: w.theirAccount.address }, { kid: w.theirAccount.address })),
      ],
      ["that its account has revoked", "TOKEN_REVOKED", (w) => afterRevoking(w, w.myAccount, () => account(stellar(w, life(2, 600))))],
      ["under another wallet's user", "USER_MISMATCH", (w) => ({ ...account(stellar(w)), user: w.theirAccount.label })],
    ] satisfies readonly Row[]
  ).map(rowOf("Stellar JWT")),
  {
    credential: "Stellar JWT",
    what: "older than the newest that was here",
    code: "CREDENTIAL_OUTDATED",
    before: (w) => account(stellar(w)),
    login: (w) => account(stellar(w, life(30, 600))),
  },
];

type Row = readonly [what: string, code: RefusalCode, login: CredentialTry["login"]];

function rowOf(credential: CredentialTry["credential"]): (row: Row) => CredentialTry {
  return ([what, code, login]) => ({ credential, what, code, login });
}

/** What is made after its holder has revoked everything, and says that it is older than that. */
async function afterRevoking(
  world: TryWorld,
  holder: EvmHolder | StellarHolder,
  make: () => LoginFields | Promise<LoginFields>,
): Promise<LoginFields> {
  await world.revoke(holder);
  return await make();
}

/** The same token with another label in it. */
function spliceLabel(text: string, label: string): string {
  const [, , issuedAt, mac] = text.split("_");
  return `frp_${Buffer.from(label).toString("base64url")}_${issuedAt}_${mac}`;
}

/** Cut, and signed as it is then: only its form is wrong. */
async function cutClaim({ mine }: TryWorld): Promise<LoginFields> {
  const metas = await makeClaim(mine);
  const cut = metas.auth_claim.slice(0, -1);
  return { metas: { ...metas, auth_claim: cut, auth_sig: await mine.sign(cut) } };
}
