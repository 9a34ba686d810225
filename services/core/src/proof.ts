/**
 * A proof: what a wallet signed to be given a tunnel token, or to take all of its tokens back (the public API's messages,
 * word for word). It is rebuilt from the parsed fields and compared, never taken from the request.
 */
import { recoverPersonalSigner } from "./eip191.ts";
import { type EvmIdentity, type Identity, parseIdentity } from "./identity.ts";
import { verifyStellarMessage } from "./sep53.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

/** What a caller sends to prove a wallet. `walletAddress` is signed as it was sent. */
export type TunnelProof = { readonly walletAddress: string; readonly timestamp: number; readonly signature: string };

/** What a proof is for. A proof for one is none for the other, because the texts differ. */
export type ProofPurpose = "token" | "revoke";

type Order = Pick<TunnelProof, "walletAddress" | "timestamp">;

const signedFields = ({ walletAddress, timestamp }: Order): string => `\n\nWallet: ${walletAddress}\nTimestamp: ${timestamp}`;

/** The text that a wallet signs for a tunnel token. `productName` fills the public API's "Vana Personal Server". */
export function printTunnelMessage(order: Order, productName: string): string {
  return `Sign this message to authorize tunnel access for your ${productName}.${signedFields(order)}`;
}

/** The text that a wallet signs to revoke every token and session of its own. */
export function printRevokeMessage(order: Order, productName: string): string {
  return `Sign this message to revoke all tunnel access for your ${productName}.${signedFields(order)}`;
}

const printers: Readonly<Record<ProofPurpose, (order: Order, productName: string) => string>> = {
  token: printTunnelMessage,
  revoke: printRevokeMessage,
};

/**
 * Verifies that the wallet signed the message: an EVM wallet as EIP-191 says, a Stellar account as SEP-53 says. The order
 * of the checks is the order of cost: address, form of the signature, the signature itself. Refuses with `WALLET_*`,
 * `SIGNATURE_*` or `SIGNER_MISMATCH`; never throws. The timestamp's window is the caller's to judge: only it has a clock.
 *
 * @example
 * verifyProof({ walletAddress: "0x0000", timestamp: 1707091200, signature: "0x" }, { productName: "Vana Personal Server" }).granted // false
 */
export function verifyProof(
  proof: TunnelProof,
  settings: { readonly productName: string; readonly purpose?: ProofPurpose },
): Verdict<Identity> {
  const identity = parseIdentity(proof.walletAddress);
  if (!identity.granted) return identity;
  const message = printers[settings.purpose ?? "token"](proof, settings.productName);
  if (identity.value.namespace === "eip155") return verifyEvm(identity.value, message, proof.signature);
  const signed = verifyStellarMessage(message, proof.signature, identity.value.publicKey);
  if (signed.granted) return identity;
  return signed.refusal.code === "SIGNATURE_INVALID" ? refuse("SIGNATURE_INVALID", { expectedMessage: message }) : signed;
}

function verifyEvm(identity: EvmIdentity, message: string, signature: string): Verdict<Identity> {
  const signer = recoverPersonalSigner(message, signature);
  if (!signer.granted) return signer;
  return Buffer.compare(signer.value, identity.address) === 0 ? grant(identity) : refuse("SIGNER_MISMATCH", { expectedMessage: message });
}
