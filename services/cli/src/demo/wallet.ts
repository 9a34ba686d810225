/** The demo's throwaway wallet: a random key in the state directory, so that the address stays the same over restarts. */
import { join } from "node:path";
import { addressOfPrivateKey, printIdentity, signPersonalMessage } from "@keyhole/core";
import { readPrivateFile, writePrivateFile } from "../state/private-file.ts";

/** A wallet that can sign. */
export type DemoWallet = { readonly address: string; readonly sign: (message: string) => string };

/** Opens the wallet, making it the first time. */
export function openDemoWallet(dir: string, randomBytes: (length: number) => Uint8Array): DemoWallet {
  const file = join(dir, "wallet.key");
  const kept = readPrivateFile(file)?.toString("ascii").trim();
  const key = kept !== undefined && /^[0-9a-f]{64}$/.test(kept) ? Buffer.from(kept, "hex") : makeKey(randomBytes);
  if (kept === undefined) writePrivateFile(file, `${key.toString("hex")}\n`);
  const address = printIdentity({ namespace: "eip155", address: addressOfPrivateKey(key) });
  return { address, sign: (message) => signPersonalMessage(message, key) };
}

/** A scalar of the curve: the top byte below 0xff keeps it under the order. */
function makeKey(randomBytes: (length: number) => Uint8Array): Buffer {
  const key = Buffer.from(randomBytes(32));
  key[0] = (key[0] ?? 0) & 0x7f;
  key[31] = (key[31] ?? 0) | 1;
  return key;
}
