/**
 * Our Stellar address, which a JWT that a Stellar account signs must name as its audience. The token service holds the
 * secret (`keys/stellar-server/secret`, or the file of `stellar.serverSecretFile`) and publishes the address beside it; the
 * plugin reads the address alone.
 */
import { join } from "node:path";
import { decodeStellarSecret, encodeStellarSecret, Fault, parseIdentity, printIdentity, publicKeyOfSeed } from "@keyhole/core";
import { createPrivateFile, readPrivateFile, writePrivateFile } from "./private-file.ts";
import { readSecretFile } from "./secret-file.ts";
import { publishedFileMode } from "./signing-keys.ts";
import { makePublishedDirectory, type StateDirectory } from "./state-directory.ts";

const folder = (stateDir: string): string => join(stateDir, "keys", "stellar-server");

/** Opens it for the token service: reads the secret that is configured, or the one that was made at the first start. Throws `Fault("KEYS_UNREADABLE")`. */
export function openStellarServer(options: {
  readonly state: StateDirectory;
  /** A path, or `credential:NAME`; without one a secret is made. */
  readonly secretFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly randomBytes: (length: number) => Uint8Array;
}): { readonly address: string } {
  const { state, secretFile, env, randomBytes } = options;
  state.folder("keys");
  const dir = folder(state.path);
  makePublishedDirectory(dir, state.isShared);
  const own = join(dir, "secret");
  if (secretFile === undefined && readPrivateFile(own) === undefined)
    createPrivateFile(own, `${encodeStellarSecret(randomBytes(32))}\n`, 0o600);
  const source = secretFile ?? own;
  const seed = decodeStellarSecret(readSecretFile(source, env).trim());
  if (seed === undefined) {
    const remedy =
      secretFile === undefined ? "put it back from a backup, or delete it: another one, with another address, is made" : "mend it";
    throw new Fault("KEYS_UNREADABLE", `${source} does not hold a Stellar secret (S and 55 characters); ${remedy}.`);
  }
  const address = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(seed) });
  const file = join(dir, "address");
  if (readPrivateFile(file)?.toString("latin1") !== `${address}\n`)
    writePrivateFile(file, `${address}\n`, publishedFileMode(state.isShared));
  return { address };
}

/** How often the file is looked at, in ms. */
const lookEveryMs = 1000;

/** Reads the address where it is published. Undefined until the token service has run; what was read last holds when it cannot be read. */
export function readStellarAddress(state: Pick<StateDirectory, "path">, now: () => Date): () => string | undefined {
  const file = join(folder(state.path), "address");
  let address: string | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  return () => {
    const time = now().getTime();
    if (Math.abs(time - lookedAt) < lookEveryMs) return address;
    lookedAt = time;
    try {
      const text = readPrivateFile(file)?.toString("latin1").trim();
      const parsed = parseIdentity(text);
      if (parsed.granted && parsed.value.namespace === "stellar") address = text;
    } catch {
      // Its owner will say what is wrong with it.
    }
    return address;
  };
}
