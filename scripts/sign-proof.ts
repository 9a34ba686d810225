/**
 * `npm run sign`: prints the JSON body of a token request, signed by a throwaway wallet or by the key in `--key FILE`. A key
 * file holds 64 hexadecimal digits; one that is not there is made, so that the next proof is of the same wallet. With `--revoke` it is
 * the body of a revocation. `--product NAME` signs for a server whose `token.productName` is another. `npm run -s sign` keeps
 * npm's own lines out of the output.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  addressOfPrivateKey,
  derivePrivateKey,
  printIdentity,
  printRevokeMessage,
  printTunnelMessage,
  signPersonalMessage,
} from "@keyhole/core";
import { readFlags, refuseUsage } from "./read-flags.mjs";

const usage = `npm run -s sign [-- --key FILE] [--revoke] [--product NAME]
  prints the JSON body of a token request; --revoke: of a revocation
  --key: the wallet's key, 64 hexadecimal digits, made if it is not there (default: a throwaway wallet)
  --product: token.productName of the server (default: Vana Personal Server)`;

/** The key of the file, which is made if it is not there. */
function openKey(file: string): Buffer {
  try {
    const digits = /^(?:0x)?([0-9a-fA-F]{64})\s*$/.exec(readFileSync(file, "utf8"))?.[1];
    if (digits === undefined) throw new Error(`${file} does not hold a private key: 64 hexadecimal digits.`);
    return Buffer.from(digits, "hex");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const key = Buffer.from(derivePrivateKey(randomBytes(32)));
    writeFileSync(file, `${key.toString("hex")}\n`, { mode: 0o600, flag: "wx" });
    console.error(`sign: ${file} was made; whoever has it holds the address.`);
    return key;
  }
}

try {
  const { values } = readFlags("sign", usage, {
    key: { type: "string" },
    product: { type: "string", default: "Vana Personal Server" },
    revoke: { type: "boolean", default: false },
  });
  if (values.revoke && values.key === undefined) refuseUsage("sign", "--revoke needs --key: a throwaway wallet has nothing to revoke");
  const print = values.revoke ? printRevokeMessage : printTunnelMessage;
  // npm runs a script in the project's folder; the path is meant from where the person stands.
  const key =
    values.key === undefined ? Buffer.from(derivePrivateKey(randomBytes(32))) : openKey(resolve(process.env.INIT_CWD ?? "", values.key));
  const walletAddress = printIdentity({ namespace: "eip155", address: addressOfPrivateKey(key) });
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = signPersonalMessage(print({ walletAddress, timestamp }, values.product), key);
  console.log(JSON.stringify({ walletAddress, timestamp, signature }));
} catch (error) {
  console.error(`sign: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
