import { createHash } from "node:crypto";
import { StrKey } from "@stellar/stellar-sdk";
import { describe, expect, it } from "vitest";
import { verifyEd25519 } from "./ed25519.ts";
import { decodeStellarSecret, parseIdentity, printIdentity, publicKeyOfSeed, signEd25519, signStellarMessage } from "./index.ts";
import { verifyStellarMessage } from "./sep53.ts";
import { readVectors } from "./vectors-for-tests.ts";

const sep53 = readVectors<{
  address: string;
  seed: string;
  cases: readonly { name: string; message?: string; message_b64?: string; sig: string }[];
}>("stellar/sep-0053-vectors.json");
const sep23 = readVectors<{ valid: readonly { strkey: string; kind: string }[]; invalid: readonly string[] }>(
  "stellar/sep-0023-strkey-vectors.json",
);

const codeOf = (text: string): string => {
  const verdict = parseIdentity(text);
  return verdict.granted ? printIdentity(verdict.value) : verdict.refusal.code;
};

describe("sep-0053-vectors.json", () => {
  const seed = decodeStellarSecret(sep53.seed)!;
  const publicKey = publicKeyOfSeed(seed);

  it("has the key of its address", () => {
    expect(printIdentity({ namespace: "stellar", publicKey })).toBe(sep53.address);
  });

  it.each(sep53.cases.filter(({ message }) => message !== undefined))(
    "a wallet's signature of $message is made and verified",
    ({ message, sig }) => {
      expect(signStellarMessage(message!, seed)).toBe(sig);
      expect(verifyStellarMessage(message!, sig, publicKey)).toEqual({ granted: true, value: true });
      expect(verifyStellarMessage(message!, Buffer.from(sig, "base64").toString("hex"), publicKey).granted).toBe(true);
      expect(verifyStellarMessage(`${message}.`, sig, publicKey)).toMatchObject({ refusal: { code: "SIGNATURE_INVALID" } });
    },
  );

  // Our messages are text, and these bytes are not UTF-8: the key signs the same digest.
  it.each(sep53.cases.filter(({ message }) => message === undefined))(
    "a wallet's signature of bytes ($name) is of their digest",
    ({ message_b64, sig }) => {
      const bytes = Buffer.concat([Buffer.from("Stellar Signed Message:\n"), Buffer.from(message_b64!, "base64")]);
      const digest = createHash("sha256").update(bytes).digest();
      expect(Buffer.from(signEd25519(digest, seed)).toString("base64")).toBe(sig);
      expect(verifyEd25519(Buffer.from(sig, "base64"), digest, publicKey)).toBe(true);
    },
  );
});

describe("sep-0023-strkey-vectors.json", () => {
  it.each(sep23.valid)("3: of a valid $kind an identity is read only if it is an account, and printed as it was", ({ strkey, kind }) => {
    expect(codeOf(strkey)).toBe(kind === "account" ? strkey : "WALLET_KIND_UNSUPPORTED");
  });

  it.each(sep23.invalid)("no identity is read from the invalid %s", (strkey) => {
    expect(StrKey.isValidEd25519PublicKey(strkey)).toBe(false);
    expect(codeOf(strkey)).toMatch(/^WALLET_(?:FORMAT|CHECKSUM|KIND_UNSUPPORTED)$/);
  });
});
