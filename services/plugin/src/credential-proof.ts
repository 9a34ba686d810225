/**
 * Finds out who made a credential, the cheap questions first: a MAC at once; a signature only for whoever has a connection,
 * comes not too often and has not tried too many that were nobody's; a registry only for a claim that was signed. An owner
 * that signs for another wallet has proved who he is, and nothing about that wallet until the registry agrees.
 */
import { grant, type Label, type Refusal, type RefusalCode, refuse, type Verdict } from "@keyhole/core";
import type { LoginContent } from "@keyhole/frp";
import type { TimeLeft } from "./answer-time.ts";
import { type Credential, isFailedProof, type Presented } from "./credential.ts";
import type { Gateway } from "./gateway.ts";
import { judgeConnection, type LoginConnection } from "./login-connection.ts";
import type { LoginLimits } from "./login-limits.ts";
import type { PluginRecorder } from "./plugin-figures.ts";
import { isRegistryAsked, judgeRegistration } from "./registration-rule.ts";

/** What a proof rests on. */
export type ProofDeps = {
  readonly limits: LoginLimits;
  readonly gateway: Gateway | undefined;
  readonly requireRegistration: boolean;
  readonly recorder: Pick<PluginRecorder, "verified">;
};

/** A credential whose maker is known and has the right to its label. */
type Proved = { readonly credential: Credential; readonly hasWaitedForRegistry: boolean };

type Claim = NonNullable<Credential["claim"]>;
type Answer = { readonly refusal: Refusal | undefined; readonly hasWaited: boolean };

/** Who made the credential. A refusal bears the label where that was proved. */
export async function proveCredential(
  presented: Presented,
  login: LoginContent,
  connection: Promise<LoginConnection>,
  deps: ProofDeps & { readonly left: TimeLeft },
): Promise<Verdict<Proved> & { readonly label?: Label }> {
  const checked = presented.kind === "hmac" ? check(presented, deps.recorder) : await checkSignature(presented, connection, deps);
  if (!checked.granted) return checked;
  const credential = checked.value;
  const { label, claim } = credential;
  const isOthers = claim?.needs === "owner-of-wallet";
  if (login.user !== "" && login.user.toLowerCase() !== label)
    return isOthers ? refuse("USER_MISMATCH") : { ...refuse("USER_MISMATCH"), label };
  if (isOthers) return await proveOwner(credential, claim, connection, deps);
  const tooOften = deps.limits.takeLogin(credential);
  if (tooOften !== undefined) return { granted: false, refusal: tooOften, label };
  const { refusal, hasWaited } = await askRegistry(claim, deps);
  return refusal === undefined ? grant({ credential, hasWaitedForRegistry: hasWaited }) : { granted: false, refusal, label };
}

/** Counted for the wallet only once it is his: anybody signs that he owns somebody's. */
async function proveOwner(
  credential: Credential,
  claim: Claim,
  connection: Promise<LoginConnection>,
  deps: ProofDeps & { readonly left: TimeLeft },
): Promise<Verdict<Proved> & { readonly label?: Label }> {
  const { limits } = deps;
  const tooOften = limits.takeSigner(claim.signer);
  if (tooOften !== undefined) return { granted: false, refusal: tooOften };
  const { refusal, hasWaited } = await askRegistry(claim, deps);
  if (refusal !== undefined) {
    if (unownedCodes.has(refusal.code)) limits.countFailedProof((await connection).source);
    return { granted: false, refusal };
  }
  const ofLabel = limits.takeLogin(credential);
  if (ofLabel !== undefined) return { granted: false, refusal: ofLabel, label: credential.label };
  return grant({ credential, hasWaitedForRegistry: hasWaited });
}

/** What a thief of somebody's wallet is told. */
const unownedCodes: ReadonlySet<RefusalCode> = new Set(["SERVER_NOT_REGISTERED", "GATEWAY_UNAVAILABLE"]);

async function checkSignature(
  presented: Presented,
  connection: Promise<LoginConnection>,
  { limits, recorder }: ProofDeps,
): Promise<Verdict<Credential>> {
  const found = await connection;
  const refusal = judgeConnection(found) ?? limits.judgeProof(found.source);
  if (refusal !== undefined) return { granted: false, refusal };
  const checked = check(presented, recorder);
  if (!checked.granted && isFailedProof(checked.refusal)) limits.countFailedProof(found.source);
  return checked;
}

/** Refusals that looked at no signature are no verification. */
function check(presented: Presented, recorder: ProofDeps["recorder"]): Verdict<Credential> {
  const checked = presented.check();
  if (checked.granted || isFailedProof(checked.refusal)) recorder.verified(presented.kind, checked.granted);
  return checked;
}

async function askRegistry(claim: Claim | undefined, deps: ProofDeps & { readonly left: TimeLeft }): Promise<Answer> {
  const { gateway, requireRegistration, left } = deps;
  const settings = { hasGateway: gateway !== undefined, requireRegistration };
  if (claim === undefined || !isRegistryAsked(claim, settings)) return { refusal: undefined, hasWaited: false };
  const before = left();
  const said = gateway === undefined ? ({ kind: "down" } as const) : await gateway.find(claim.wallet);
  return { refusal: judgeRegistration(claim, said, settings), hasWaited: left() < before };
}
