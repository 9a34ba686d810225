/**
 * The vocabulary: who (identity, label, host), what proves it (proof, tunnel token, ticket), THE decision (admission),
 * what we say (verdict, refusals, fault), what must be remembered (store), what may be asked of the edge and of the plugin
 * (door, tunnel-status).
 */
export { canonicalAddress, deriveAddressPrefix } from "./address-prefix.ts";
export { type Admission, type AdmissionFacts, decideAdmission, isRevoked, isSelfSigned, type LivingSession } from "./admission.ts";
export {
  type ControlConnection,
  type Door,
  type DoorState,
  type EdgeEvidence,
  type EdgeFailure,
  type EvidenceReport,
  edgeFailures,
  type LeaveReason,
  type LiveEntry,
} from "./door.ts";
export { publicKeyOfSeed, signEd25519, verifyEd25519 } from "./ed25519.ts";
export { addressOfPrivateKey, derivePrivateKey, hashPersonalMessage, signPersonalMessage } from "./eip191.ts";
export {
  type Checkpoint,
  type CheckpointSigner,
  chainStart,
  type EventDetail,
  type EventEntry,
  type EventName,
  type EventRecord,
  type EventWriter,
  events,
  hashEvent,
  isEventName,
  renderCheckpoint,
} from "./event.ts";
export { type ChainFlaw, type ChainVerifier, createChainVerifier, type SignedCheckpoint } from "./event-chain.ts";
export { Fault, type FaultCode } from "./fault.ts";
export { createHistogram, type Histogram, type HistogramFigures } from "./histogram.ts";
export { type HostKind, parseHost } from "./host.ts";
export { type EvmIdentity, type Identity, parseIdentity, printIdentity, type StellarIdentity } from "./identity.ts";
export { type CompactJws, decodeBase64Url, type Jws, parseCompactJws, parseJws } from "./jws.ts";
export { type KeyRing, type MacKey, type ReadKeyRing, verifyWithRing } from "./key-ring.ts";
export { deriveLabel, identityOfLabel, type Label, parseLabel } from "./label.ts";
export { createNetworkList, type Network, parseNetwork } from "./network.ts";
export { deriveOperatorNotBefore, describeBlockGone, describeBlockSet, describeRevoked, type Orderer } from "./operator-order.ts";
export { type ProofPurpose, printRevokeMessage, printTunnelMessage, type TunnelProof, verifyProof } from "./proof.ts";
export { createRateLimiter, type RateDecision, type RateLimit, type RateLimiter } from "./rate-limiter.ts";
export { createRefusalSampler, type RefusalSampler } from "./refusal-sampler.ts";
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
export { signStellarMessage } from "./sep53.ts";
export { type SignatureBackends, signatureBackends, testSignatureChecks } from "./signature-checks.ts";
export { decodeStellarSecret, encodeStellarSecret } from "./stellar-account.ts";
export { parseStellarJwt, type StellarJwt, type UncheckedStellarJwt } from "./stellar-jwt.ts";
export {
  type Block,
  type BlockSubject,
  type CredentialKind,
  type OperatorRevocation,
  type RevocationOrder,
  type RevocationOutcome,
  type RevocationRecord,
  repeatSeconds,
  type SessionEnd,
  type SessionReader,
  type SessionRecord,
  type SessionStore,
  type Standing,
  type TokenOrder,
  type TokenOutcome,
  type TokenReader,
  type TokenRecord,
  type TokenStore,
} from "./store.ts";
export { parseStrictJson, type StrictJson } from "./strict-json.ts";
export { createSubnetList, type SubnetList } from "./subnet-list.ts";
export { createTally, type Tally } from "./tally.ts";
export { mintTicket, readTicket, type Ticket } from "./ticket.ts";
export {
  deriveTunnelJwtClaims,
  type ReadVerifyKeys,
  readTunnelJwt,
  type TunnelJwt,
  type TunnelJwtClaims,
  tunnelJwtType,
  type VerifyKey,
} from "./tunnel-jwt.ts";
export { deriveTunnelState, disconnectedReasons, type TunnelJudgement, unroutableReasons } from "./tunnel-state.ts";
export { describeTunnel, latest, type ReadTunnelStatus, readRecordedStatus, type TunnelStatus } from "./tunnel-status.ts";
export { deriveUnrecordedEnd, mintTunnelToken, readTunnelToken, type TunnelToken } from "./tunnel-token.ts";
export { parseVanaClaim, type UncheckedVanaClaim, type VanaClaim } from "./vana-claim.ts";
export { grant, type Refusal, type RefusalFacts, refuse, type Verdict } from "./verdict.ts";
