/**
 * What a binary is: its SHA-256. It is recorded when the binary is got and compared before every start, so that what runs
 * is what was checked (invariant 8).
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { FrpFault } from "./fault.ts";

/** A program on disk and the SHA-256 (hexadecimal) that its bytes must have. */
export type FrpBinary = { readonly path: string; readonly sha256: string };

/** SHA-256 of a file, in hexadecimal. */
export async function digestFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/** Throws `FRP_BINARY_DIGEST` when the file is not the recorded one, `FRP_BINARY_MISSING` when there is none. Called before every start. */
export async function verifyBinary(binary: FrpBinary): Promise<void> {
  let found: string;
  try {
    found = await digestFile(binary.path);
  } catch (cause) {
    throw new FrpFault("FRP_BINARY_MISSING", `${binary.path} cannot be read. Run: npm run setup`, { cause });
  }
  if (found === binary.sha256) return;
  throw new FrpFault(
    "FRP_BINARY_DIGEST",
    `${binary.path} is not the file that was recorded: expected sha256 ${binary.sha256}, found ${found}. ` +
      "If nobody changed it on purpose, find out who did. To get it anew, run: npm run setup",
  );
}
