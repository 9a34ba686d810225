/**
 * A proof: what a wallet signed to be given a tunnel token (the public API's message, word for word). It is rebuilt from
 * the parsed fields and compared, never taken from the request.
 */
import { recoverPersonalSigner } from "./eip191.ts";
import { type Identity, parseIdentity } from "./identity.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

/** What a caller sends to prove a wallet. `walletAddress` is signed as it was sent. */
export type TunnelProof = { readonly walletAddress: string; readonly timestamp: number; readonly signature: string };

/** The text that a wallet signs for a tunnel token. `productName` fills the public API's "Vana Personal Server". */
export function printTunnelMessage(order: { readonly walletAddress: string; readonly timestamp: number }, productName: string): string {
  return `Sign this message to authorize tunnel access for your ${productName}.\n\nWallet: ${order.walletAddress}\nTimestamp: ${order.timestamp}`;
}

/**
 * Verifies that the wallet signed the message. The order of the checks is the order of cost: address, form of the
 * signature, recovery. Refuses with `WALLET_*` or `SIGNATURE_*`; never throws. The timestamp's window is the caller's to
 * judge: only it has a clock.
 *
 * @example
 * verifyProof({ walletAddress: "0x0000", timestamp: 1707091200, signature: "0x" }, { productName: "Vana Personal Server" }).granted // false
 */
export function verifyProof(proof: TunnelProof, settings: { readonly productName: string }): Verdict<Identity> {
  const identity = parseIdentity(proof.walletAddress);
  if (!identity.granted) return identity;
  if (identity.value.namespace !== "eip155") return refuse("WALLET_UNSUPPORTED");
  const signer = recoverPersonalSigner(printTunnelMessage(proof, settings.productName), proof.signature);
  if (!signer.granted) return signer;
  return Buffer.compare(signer.value, identity.value.address) === 0 ? grant(identity.value) : refuse("SIGNATURE_MISMATCH");
}
