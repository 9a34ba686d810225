/**
 * A Vana claim: what the personal server signs for itself and sends in five metadatas of its login (`wallet`, `owner`,
 * `run_id`, `auth_claim`, `auth_sig`). The claim is canonical base64url of an object; the signature is EIP-191 over the
 * ASCII of that base64url as it was sent.
 *
 * Whoever signs may speak for the address that signed and for no other. So a claim is signed by its wallet, or by its owner;
 * when the two differ, `needs` says what a registry has still to confirm: without that, anybody could sign
 * "I own the wallet of my victim".
 */
import { recoverPersonalSigner } from "./eip191.ts";
import { parseIdentity } from "./identity.ts";
import { decodeObject, isBoundedText, isSeconds } from "./jws.ts";
import { deriveLabel, type Label } from "./label.ts";
import { grant, type Refusal, refuse, type Verdict } from "./verdict.ts";

/** What a claim says. Addresses are `0x` and lower case. */
export type VanaClaim = {
  readonly label: Label;
  /** Whose label it is. */
  readonly wallet: string;
  readonly owner: string;
  readonly signer: string;
  /** Whole seconds; up to 60 s ahead of our clock. */
  readonly issuedAt: Date;
  /** Its `exp` and 60 s for clocks that differ. */
  readonly endsAt: Date;
  /**
   * What a registry must confirm. `nothing`: wallet, owner and signer are one. `registration`: the wallet signed, and is to be
   * a registered server of its owner. `owner-of-wallet`: the owner signed, and has to own the wallet.
   */
  readonly needs: "owner-of-wallet" | "registration" | "nothing";
};

/** A claim of which everything but the signature is right; `check` buys the signature. */
export type UncheckedVanaClaim = { check(): Verdict<VanaClaim> };

const skewSeconds = 60;
const longestLifeSeconds = 600;
const longestClaim = 2048;
const addressForm = /^0x[0-9a-fA-F]{40}$/;
/** r, s and a v of 27 or 28, as wallets print them. */
const signatureForm = /^0x[0-9a-f]{128}1[bc]$/;

/**
 * Reads a claim, the dear check last and only when `check()` is called. Refuses `CLAIM_MALFORMED`, `CLAIM_AUDIENCE`,
 * `CLAIM_INCONSISTENT`, `CLAIM_LIFE_TOO_LONG`, `CLAIM_EXPIRED`, `CLOCK_SKEW`, in this order; `check` refuses `SIGNATURE_*`
 * and `SIGNER_MISMATCH`. Never throws.
 */
export function parseVanaClaim(
  metas: Readonly<Record<string, string>>,
  settings: { readonly audience: string; readonly now: Date },
): Verdict<UncheckedVanaClaim> {
  const { run_id: runId, auth_claim: text, auth_sig: signature } = metas;
  const wallet = parseAddress(metas["wallet"]);
  if (wallet === undefined) return malformed("wallet");
  const owner = parseAddress(metas["owner"], wallet);
  if (owner === undefined) return malformed("owner");
  if (!isBoundedText(runId, 128)) return malformed("run_id");
  if (typeof signature !== "string" || !signatureForm.test(signature)) return malformed("auth_sig");
  if (!isBoundedText(text, longestClaim)) return malformed("auth_claim");
  const claim = decodeObject(text);
  if (claim === undefined) return malformed("auth_claim");
  if (!isBoundedText(claim["aud"], 256)) return malformed("aud");
  for (const field of ["iat", "exp"]) if (!isSeconds(claim[field])) return malformed(field);
  const claimedOwner = parseAddress(claim["owner"], owner);
  if (claimedOwner === undefined) return malformed("owner");
  const claimedWallet = parseAddress(claim["wallet"], wallet);
  if (claimedWallet === undefined) return malformed("wallet");
  for (const field of ["subdomain", "runId"]) if (!isBoundedText(claim[field], 128)) return malformed(field);
  if (claim["aud"] !== settings.audience) return refuse("CLAIM_AUDIENCE");
  if (claimedWallet !== wallet) return inconsistent("wallet");
  if (claimedOwner !== owner) return inconsistent("owner");
  if (claim["subdomain"] !== wallet) return inconsistent("subdomain");
  if (claim["runId"] !== runId) return inconsistent("runId");
  const times = judgeTimes(claim["iat"] as number, claim["exp"] as number, settings.now);
  if (!times.granted) return times;
  return grant({ check: () => checkSigner(text, signature, { wallet, owner, ...times.value }) });
}

type Checked = Pick<VanaClaim, "wallet" | "owner" | "issuedAt" | "endsAt">;

/**
 * The address in lower case. The real client prints EIP-55; others may not, so letter case says nothing here. One that is
 * `known` was parsed before: mostly all four of a claim are the same.
 */
function parseAddress(value: unknown, known?: string): string | undefined {
  if (typeof value !== "string" || !addressForm.test(value)) return undefined;
  const address = value.toLowerCase();
  return address === known || parseIdentity(address).granted ? address : undefined;
}

/** The seconds are compared as numbers first: a `Date` has a smaller range than an integer. */
function judgeTimes(iat: number, exp: number, now: Date): Verdict<Pick<VanaClaim, "issuedAt" | "endsAt">> {
  if (exp <= iat) return malformed("exp");
  if (exp - iat > longestLifeSeconds) return refuse("CLAIM_LIFE_TOO_LONG", { seconds: exp - iat });
  const seconds = now.getTime() / 1000;
  if (exp + skewSeconds <= seconds) return refuse("CLAIM_EXPIRED", { seconds: Math.floor(seconds - exp) });
  if (iat - skewSeconds > seconds) return refuse("CLOCK_SKEW", { seconds: Math.ceil(iat - seconds) });
  return grant({ issuedAt: new Date(iat * 1000), endsAt: new Date((exp + skewSeconds) * 1000) });
}

function checkSigner(text: string, signature: string, claim: Checked): Verdict<VanaClaim> {
  const recovered = recoverPersonalSigner(text, signature);
  if (!recovered.granted) return recovered;
  const signer = `0x${Buffer.from(recovered.value).toString("hex")}`;
  const identity = parseIdentity(claim.wallet);
  if (!identity.granted || (signer !== claim.wallet && signer !== claim.owner)) return refuse("SIGNER_MISMATCH");
  const needs = signer !== claim.wallet ? "owner-of-wallet" : signer !== claim.owner ? "registration" : "nothing";
  return grant({ ...claim, label: deriveLabel(identity.value), signer, needs });
}

const malformed = (field: string): { readonly granted: false; readonly refusal: Refusal } => refuse("CLAIM_MALFORMED", { field });
const inconsistent = (field: string): { readonly granted: false; readonly refusal: Refusal } => refuse("CLAIM_INCONSISTENT", { field });
