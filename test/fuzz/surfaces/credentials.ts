/**
 * The readers of credentials in core, asked directly: the cheapest way to try many. What they grant, the oracle has to
 * grant; what is good, they have to grant.
 */
import {
  type Label,
  parseLabel,
  parseStellarJwt,
  parseVanaClaim,
  type Refusal,
  readTicket,
  readTunnelJwt,
  readTunnelToken,
  refusals,
  verifyProof,
} from "@keyhole/core";
import type { Prng } from "../../chaos/prng.ts";
import {
  type ClaimMetas,
  mintClaim,
  mintHmacToken,
  mintProof,
  mintStellarJwt,
  mintTicketText,
  mintTunnelJwt,
  type ProofBody,
} from "../mint.ts";
import { mutateJson, mutateText } from "../mutate.ts";
import { createOracle, type Granted } from "../oracle.ts";
import { broken, decodeInput, encodeInput, judged, type Outcome, type Surface } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";
import { crossMembers, drawText, type TextInput } from "./variants.ts";

/** The readers under test. A test of the oracle puts broken ones in their place. */
export type CredentialReaders = {
  readonly readTunnelToken: typeof readTunnelToken;
  readonly readTicket: typeof readTicket;
  readonly readTunnelJwt: typeof readTunnelJwt;
  readonly parseStellarJwt: typeof parseStellarJwt;
  readonly parseVanaClaim: typeof parseVanaClaim;
  readonly verifyProof: typeof verifyProof;
};

const ours: CredentialReaders = { readTunnelToken, readTicket, readTunnelJwt, parseStellarJwt, parseVanaClaim, verifyProof };

/** A surface a reader. */
export function createCredentialSurfaces(world: FuzzWorld, readers: CredentialReaders = ours): readonly Surface[] {
  const oracle = createOracle(world);
  const { audience, now, domain, productName } = world;
  const verifyKeys = world.signingKeys.map(({ id, publicKey }) => ({ id, publicKey }));
  const others = (prng: Prng) => [
    () => mintHmacToken(world, prng, true),
    () => mintTunnelJwt(world, prng, true),
    () => mintStellarJwt(world, prng, true),
    () => mintTicketText(world, prng, true).ticket,
    () => mintClaim(world, prng, true)["auth_claim"] ?? "",
  ];
  const common = { lanes: 1, mustSee: ["admitted"] } as const;

  const text = (
    name: string,
    share: number,
    mint: (prng: Prng, isGood: boolean) => string,
    run: (text: string) => Outcome | Promise<Outcome>,
  ): Surface => ({
    ...common,
    name,
    share,
    make: (prng) => encodeInput(drawText(prng, (isGood) => mint(prng, isGood), others(prng))),
    run: (bytes) => {
      const { text: asked, isGood } = readTextInput(bytes);
      const outcome = run(asked);
      return outcome instanceof Promise ? outcome.then((settled) => requireGood(settled, isGood)) : requireGood(outcome, isGood);
    },
  });

  return [
    text(
      "tunnel-token",
      16,
      (prng, isGood) => mintHmacToken(world, prng, isGood),
      (asked) => {
        const verdict = readers.readTunnelToken(asked, world.ring);
        return verdict.granted ? judged("admitted", oracle.hmacToken(asked, grantedOf(verdict.value))) : judgeRefusal(verdict.refusal);
      },
    ),
    text(
      "tunnel-jwt",
      12,
      (prng, isGood) => mintTunnelJwt(world, prng, isGood),
      async (asked) => {
        const verdict = readers.readTunnelJwt(asked, verifyKeys, domain);
        return verdict.granted
          ? judged("admitted", await oracle.tunnelJwt(asked, grantedOf(verdict.value)))
          : judgeRefusal(verdict.refusal);
      },
    ),
    text(
      "stellar-jwt",
      12,
      (prng, isGood) => mintStellarJwt(world, prng, isGood),
      async (asked) => {
        const parsed = readers.parseStellarJwt(asked, { audience: world.stellarAddress, now });
        const verdict = parsed.granted ? parsed.value.check() : parsed;
        return verdict.granted
          ? judged("admitted", await oracle.stellarJwt(asked, grantedOf(verdict.value)))
          : judgeRefusal(verdict.refusal);
      },
    ),
    {
      ...common,
      name: "ticket",
      share: 12,
      make: (prng) => {
        const [mine, another] = [mintTicketText(world, prng, true), mintTicketText(world, prng, true)];
        if (prng.chance(0.05)) return encodeInput({ ...mine, isGood: true });
        const { text: ticket } = drawText(prng, (isGood) => mintTicketText(world, prng, isGood).ticket, others(prng));
        return encodeInput(
          prng.pick([
            { ...mine, ticket },
            { ...mine, ticket: mutateText(mine.ticket, prng) },
            { ...mine, label: another.label },
            mintTicketText(world, prng, false),
          ]),
        );
      },
      run: (bytes) => {
        const { label: asked, ticket, isGood } = record(decodeInput(bytes));
        const label = parseLabel(asked);
        if (label === undefined || typeof ticket !== "string") return { code: "no-label" };
        const read = readers.readTicket(label, ticket, world.ring);
        if (read === undefined) return requireGood({ code: "refused" }, isGood === true);
        const told = { generation: read.generation, issuedAt: read.issuedAt.getTime(), endsAt: read.endsAt.getTime() };
        return judged("admitted", oracle.ticket(label, ticket, told));
      },
    },
    {
      ...common,
      name: "vana-claim",
      share: 10,
      make: (prng) => encodeInput(drawClaim(world, prng)),
      run: async (bytes) => {
        const { metas: given, isGood } = record(decodeInput(bytes));
        // frp's maps hold texts only; the hook has checked that.
        const metas = Object.fromEntries(Object.entries(record(given)).filter(([, value]) => typeof value === "string")) as ClaimMetas;
        const parsed = readers.parseVanaClaim(metas, { audience, now });
        const verdict = parsed.granted ? parsed.value.check() : parsed;
        if (!verdict.granted) return requireGood(judgeRefusal(verdict.refusal), isGood === true);
        return judged("admitted", await oracle.claim(metas, { ...grantedOf(verdict.value), needs: verdict.value.needs }));
      },
    },
    {
      ...common,
      name: "proof",
      share: 8,
      make: (prng) => encodeInput(drawProof(world, prng)),
      run: async (bytes) => {
        const { body, purpose: said, isGood } = record(decodeInput(bytes));
        const { walletAddress, timestamp, signature } = record(body);
        // The endpoint has checked these.
        if (typeof walletAddress !== "string" || typeof timestamp !== "number" || typeof signature !== "string")
          return { code: "no-proof" };
        const purpose = said === "revoke" ? "revoke" : "token";
        const verdict = readers.verifyProof({ walletAddress, timestamp, signature }, { productName, purpose });
        if (!verdict.granted) return requireGood(judgeRefusal(verdict.refusal), isGood === true);
        return judged("admitted", await oracle.proof({ walletAddress, timestamp, signature }, purpose, walletAddress.toLowerCase()));
      },
    },
  ];
}

/** A claim as the hook hands it over: whole, altered, or of two wallets. */
export function drawClaim(world: FuzzWorld, prng: Prng): { readonly metas: unknown; readonly isGood: boolean } {
  const chance = prng.next();
  if (chance < 0.05) return { metas: mintClaim(world, prng, true), isGood: true };
  if (chance < 0.5) return { metas: mintClaim(world, prng, false), isGood: false };
  if (chance < 0.75) return { metas: mutateJson(mintClaim(world, prng, true), prng), isGood: false };
  return { metas: crossMembers(mintClaim(world, prng, true), mintClaim(world, prng, true), prng), isGood: false };
}

/** A body of the public API: whole, altered, or of two wallets. */
export function drawProof(
  world: FuzzWorld,
  prng: Prng,
): { readonly body: unknown; readonly purpose: "token" | "revoke"; readonly isGood: boolean } {
  const purpose = prng.pick(["token", "revoke"] as const);
  const chance = prng.next();
  if (chance < 0.1) return { body: mintProof(world, prng, true, purpose), purpose, isGood: true };
  if (chance < 0.4) return { body: mintProof(world, prng, false, purpose), purpose, isGood: false };
  const other = mintProof(world, prng, true, prng.pick(["token", "revoke"]));
  if (chance < 0.8) return { body: mutateProof(other, prng), purpose, isGood: false };
  return { body: crossMembers(other, mintProof(world, prng, true, purpose), prng), purpose, isGood: false };
}

function mutateProof(body: ProofBody, prng: Prng): unknown {
  // ERC-6492's magic, a compact signature, and one in the other half.
  if (prng.chance(0.1))
    return {
      ...body,
      signature: prng.pick([`${body.signature}${"6492".repeat(16)}`, body.signature.slice(0, 130), highS(body.signature)]),
    };
  return mutateJson(body, prng);
}

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** The other signature of the same text by the same key, which everybody can make. */
function highS(signature: string): string {
  if (!/^0x[0-9a-f]{130}$/.test(signature)) return signature;
  const s = (order - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, "0");
  return `${signature.slice(0, 66)}${s}${signature.endsWith("1b") ? "1c" : "1b"}`;
}

/** A code of the catalogue, and facts that JSON can hold. */
export function judgeRefusal({ code, facts }: Refusal): Outcome {
  if (!Object.hasOwn(refusals, code)) return broken(code, "answer", `${code} is not in the catalogue`);
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value !== "string" && !Number.isFinite(value))
      return broken(code, "answer", `${code} has the fact ${name}, which is ${String(value)}`);
  }
  return { code };
}

/** What nothing was done to has to be granted. */
const requireGood = (outcome: Outcome, isGood: boolean): Outcome =>
  isGood && outcome.code !== "admitted" && outcome.problem === undefined
    ? broken(outcome.code, "refusal", "a good one was refused")
    : outcome;

function grantedOf(value: { readonly label: Label; readonly issuedAt: Date; readonly endsAt?: Date }): Granted {
  const { label, issuedAt, endsAt } = value;
  return { label, issuedAt: issuedAt.getTime(), ...(endsAt === undefined ? {} : { endsAt: endsAt.getTime() }) };
}

function readTextInput(bytes: Uint8Array): TextInput {
  const decoded = decodeInput(bytes);
  const { text, isGood } = record(decoded);
  return typeof text === "string" ? { text, isGood: isGood === true } : { text: String(decoded), isGood: false };
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
