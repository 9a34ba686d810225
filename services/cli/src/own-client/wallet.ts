/** A wallet of Keyhole's own, for its demo or its canary: a random key in a folder of the state directory, so that the address stays the same over restarts. */
import { join } from "node:path";
import { addressOfPrivateKey, derivePrivateKey, printIdentity, signPersonalMessage } from "@keyhole/core";
import { readPrivateFile, writePrivateFile } from "../state/private-file.ts";

/** A wallet that can sign. */
export type OwnWallet = { readonly address: string; readonly sign: (message: string) => string };

/** Opens the wallet, making it the first time. */
export function openOwnWallet(dir: string, randomBytes: (length: number) => Uint8Array): OwnWallet {
  const file = join(dir, "wallet.key");
  const kept = readPrivateFile(file)?.toString("ascii").trim();
  const key = kept !== undefined && /^[0-9a-f]{64}$/.test(kept) ? Buffer.from(kept, "hex") : Buffer.from(derivePrivateKey(randomBytes(32)));
  if (kept === undefined) writePrivateFile(file, `${key.toString("hex")}\n`);
  const address = printIdentity({ namespace: "eip155", address: addressOfPrivateKey(key) });
  return { address, sign: (message) => signPersonalMessage(message, key) };
}
