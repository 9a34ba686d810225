/** A wallet as a desktop app has one. */
import { randomBytes } from "node:crypto";
import {
  addressOfPrivateKey,
  derivePrivateKey,
  printIdentity,
  printRevokeMessage,
  printTunnelMessage,
  signPersonalMessage,
} from "@keyhole/core";
import { recordSecret } from "./test-record.ts";

/** A key that signs. `label` is its host below the domain. */
export type Wallet = {
  readonly address: string;
  readonly label: string;
  readonly prove: (timestamp: number) => { walletAddress: string; timestamp: number; signature: string };
};

/** A wallet that can also revoke everything of its own. */
export type OwnedWallet = Wallet & { readonly proveRevocation: Wallet["prove"] };

/** Makes a wallet that nobody has used before. */
export function makeWallet(): OwnedWallet {
  const key = derivePrivateKey(randomBytes(32));
  recordSecret("a wallet's key", Buffer.from(key).toString("hex"));
  const address = printIdentity({ namespace: "eip155", address: addressOfPrivateKey(key) });
  const proveWith =
    (print: typeof printTunnelMessage): Wallet["prove"] =>
    (timestamp) => ({
      walletAddress: address,
      timestamp,
      signature: recordSecret(
        "a proof's signature",
        signPersonalMessage(print({ walletAddress: address, timestamp }, "Vana Personal Server"), key),
      ),
    });
  return { address, label: address.toLowerCase(), prove: proveWith(printTunnelMessage), proveRevocation: proveWith(printRevokeMessage) };
}
