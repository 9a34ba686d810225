/**
 * The vocabulary: who (identity, label, host), what proves it (proof, tunnel token, ticket), THE decision (admission),
 * what we say (verdict, refusals, fault), what must be remembered (store), what may be asked of the edge and of the plugin
 * (door, tunnel-status).
 */
export { type Admission, type AdmissionFacts, decideAdmission, type LivingSession } from "./admission.ts";
export type { ControlConnection, Door, DoorState, LeaveReason, LiveEntry } from "./door.ts";
export { addressOfPrivateKey, derivePrivateKey, hashPersonalMessage, signPersonalMessage } from "./eip191.ts";
export { Fault, type FaultCode } from "./fault.ts";
export { type HostKind, parseHost } from "./host.ts";
export { type EvmIdentity, type Identity, parseIdentity, printIdentity, type StellarIdentity } from "./identity.ts";
export type { KeyRing, MacKey, ReadKeyRing } from "./key-ring.ts";
export { deriveLabel, identityOfLabel, type Label, parseLabel } from "./label.ts";
export { printTunnelMessage, type TunnelProof, verifyProof } from "./proof.ts";
export {
  describeProblem,
  describeReason,
  type Problem,
  type RefusalCode,
  type RefusalEntry,
  type RefusalVoice,
  refusalCodes,
  refusals,
} from "./refusals.ts";
export type {
  CredentialKind,
  SessionEnd,
  SessionReader,
  SessionRecord,
  SessionStore,
  TokenOrder,
  TokenOutcome,
  TokenReader,
  TokenRecord,
  TokenStore,
} from "./store.ts";
export { mintTicket, readTicket, type Ticket } from "./ticket.ts";
export type { ReadTunnelStatus, TunnelStatus } from "./tunnel-status.ts";
export { deriveUnrecordedEnd, mintTunnelToken, readTunnelToken, type TunnelToken } from "./tunnel-token.ts";
export { grant, type Refusal, type RefusalFacts, refuse, type Verdict } from "./verdict.ts";
