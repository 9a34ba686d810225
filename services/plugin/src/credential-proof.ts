/**
 * Finds out who made a credential, the cheap questions first: a MAC at once; a signature only for whoever has a connection,
 * comes not too often and has not tried too many that were nobody's; a registry only for a claim that was signed.
 */
import { type Label, type Refusal, refuse, type Verdict } from "@keyhole/core";
import type { LoginContent } from "@keyhole/frp";
import { type Credential, isFailedProof, type Presented } from "./credential.ts";
import type { Gateway } from "./gateway.ts";
import { judgeConnection, type LoginConnection } from "./login-connection.ts";
import type { LoginLimits } from "./login-limits.ts";
import { isRegistryAsked, judgeRegistration } from "./registration-rule.ts";

/** What a proof rests on. */
export type ProofDeps = {
  readonly limits: LoginLimits;
  readonly gateway: Gateway | undefined;
  readonly requireRegistration: boolean;
};

/** Who made the credential. A refusal bears the label where that was proved. */
export async function proveCredential(
  presented: Presented,
  login: LoginContent,
  connection: Promise<LoginConnection>,
  deps: ProofDeps,
): Promise<Verdict<Credential> & { readonly label?: Label }> {
  const checked = presented.kind === "hmac" ? presented.check() : await checkSignature(presented, connection, deps);
  if (!checked.granted) return checked;
  const { label, claim } = checked.value;
  if (login.user !== "" && login.user.toLowerCase() !== label) return { ...refuse("USER_MISMATCH"), label };
  const refusal = deps.limits.takeLogin(checked.value) ?? (claim === undefined ? undefined : await askRegistry(claim, deps));
  return refusal === undefined ? checked : { granted: false, refusal, label };
}

async function checkSignature(
  presented: Presented,
  connection: Promise<LoginConnection>,
  { limits }: ProofDeps,
): Promise<Verdict<Credential>> {
  const found = await connection;
  const refusal = judgeConnection(found) ?? limits.judgeProof(found.source);
  if (refusal !== undefined) return { granted: false, refusal };
  const checked = presented.check();
  if (!checked.granted && isFailedProof(checked.refusal)) limits.countFailedProof(found.source);
  return checked;
}

async function askRegistry(claim: NonNullable<Credential["claim"]>, deps: ProofDeps): Promise<Refusal | undefined> {
  const { gateway, requireRegistration } = deps;
  const settings = { hasGateway: gateway !== undefined, requireRegistration };
  if (!isRegistryAsked(claim, settings)) return undefined;
  const said = gateway === undefined ? ({ kind: "down" } as const) : await gateway.find(claim.wallet);
  return judgeRegistration(claim, said, settings);
}
