/**
 * Whether a registry must confirm a Vana claim, and whether what it says is enough. A wallet that signs for itself needs
 * nobody's word, unless the operator wants registered servers only; an owner that signs for another wallet always does.
 */
import { type Refusal, type RefusalCode, refuse, type VanaClaim } from "@keyhole/core";

/** What the registry says about a server's address. `owner` is `0x` and lower case. */
export type Registration =
  | { readonly kind: "registered"; readonly owner: string; readonly isRevoked: boolean }
  /** It knows no such server. */
  | { readonly kind: "unknown" }
  /** It has not answered yet. */
  | { readonly kind: "pending" }
  /** It cannot be asked, or its answer is none. */
  | { readonly kind: "down" };

/** How the operator set it up. */
export type RegistrySettings = { readonly hasGateway: boolean; readonly requireRegistration: boolean };

type Claim = Pick<VanaClaim, "owner" | "needs">;

/** True when the claim is not decided without asking. */
export const isRegistryAsked = ({ needs }: Pick<Claim, "needs">, settings: RegistrySettings): boolean =>
  needs === "owner-of-wallet" || settings.requireRegistration || (needs === "registration" && settings.hasGateway);

/** Refuses with `SERVER_NOT_REGISTERED`, `SERVER_REVOKED`, `GATEWAY_PENDING` or `GATEWAY_UNAVAILABLE`; undefined when it is enough. */
export function judgeRegistration(claim: Claim, said: Registration, settings: RegistrySettings): Refusal | undefined {
  const isNeeded = claim.needs === "owner-of-wallet" || settings.requireRegistration;
  const code = findObjection(claim, said, isNeeded);
  return code === undefined ? undefined : refuse(code).refusal;
}

function findObjection(claim: Claim, said: Registration, isNeeded: boolean): RefusalCode | undefined {
  switch (said.kind) {
    case "registered":
      if (said.owner !== claim.owner) return "SERVER_NOT_REGISTERED";
      return said.isRevoked ? "SERVER_REVOKED" : undefined;
    case "unknown":
      return isNeeded ? "SERVER_NOT_REGISTERED" : undefined;
    case "pending":
      return "GATEWAY_PENDING";
    case "down":
      return isNeeded ? "GATEWAY_UNAVAILABLE" : undefined;
  }
}
