import { createHash } from "node:crypto";
import { Keypair, StrKey } from "@stellar/stellar-sdk";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeStellarSecret, encodeStellarSecret, parseIdentity, printIdentity, signStellarMessage } from "./index.ts";
import { hashStellarMessage, verifyStellarMessage } from "./sep53.ts";
import { encodeStellarAccount, parseStellarAccount } from "./stellar-account.ts";

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Texts near a StrKey: one of any version byte, with a character changed, cut, doubled or put in. */
const nearly = fc
  .tuple(bytes32, fc.constantFrom("G", "S", "C"), fc.nat(56), fc.constantFrom(...letters, "0", "1", "8", "a", "=", " ", "\n"), fc.nat(4))
  .map(([key, kind, at, character, change]) => {
    const encode = { G: StrKey.encodeEd25519PublicKey, S: StrKey.encodeEd25519SecretSeed, C: StrKey.encodeContract }[kind];
    const text = encode(Buffer.from(key));
    return [
      text,
      text.slice(0, at) + character + text.slice(at + 1),
      text.slice(0, at) + text.slice(at + 1),
      text.slice(0, at) + character + text.slice(at),
      text.slice(0, at),
    ][change]!;
  });

describe("Stellar accounts", () => {
  it("3: accounts and secrets are written as stellar-sdk writes them, and read back", () => {
    fc.assert(
      fc.property(bytes32, (key) => {
        expect(encodeStellarAccount(key)).toBe(StrKey.encodeEd25519PublicKey(Buffer.from(key)));
        expect(encodeStellarSecret(key)).toBe(StrKey.encodeEd25519SecretSeed(Buffer.from(key)));
        expect(decodeStellarSecret(encodeStellarSecret(key))).toEqual(key);
      }),
    );
  });

  it("3: what stellar-sdk calls an account is one, but for weak keys, and nothing else is; the same with secrets", () => {
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string({ unit: fc.constantFrom(...letters), minLength: 54, maxLength: 58 }), fc.string()), (text) => {
        const account = parseStellarAccount(text);
        const isWeak = !account.granted && account.refusal.code === "WALLET_WEAK_KEY";
        expect(account.granted || isWeak).toBe(StrKey.isValidEd25519PublicKey(text));
        if (account.granted) expect(encodeStellarAccount(account.value)).toBe(text);
        const secret = decodeStellarSecret(text);
        expect(secret !== undefined).toBe(StrKey.isValidEd25519SecretSeed(text));
        if (secret !== undefined) expect(encodeStellarSecret(secret)).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  it("sign texts as SEP-53 says, by stellar-sdk's key over the hash made by hand, and the signature is verified", () => {
    fc.assert(
      fc.property(bytes32, fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (seed, text, other) => {
        const pair = Keypair.fromRawEd25519Seed(Buffer.from(seed));
        const digest = (of: string): Buffer =>
          createHash("sha256")
            .update(Buffer.from(`Stellar Signed Message:\n${of}`, "utf8"))
            .digest();
        expect(Buffer.from(hashStellarMessage(text))).toEqual(digest(text));
        const signature = Buffer.from(pair.sign(digest(text))).toString("base64");
        expect(signStellarMessage(text, seed)).toBe(signature);
        const identity = parseIdentity(pair.publicKey());
        if (!identity.granted || identity.value.namespace !== "stellar") throw new Error(pair.publicKey());
        expect(printIdentity(identity.value)).toBe(pair.publicKey());
        expect(verifyStellarMessage(text, signature, identity.value.publicKey).granted).toBe(true);
        expect(verifyStellarMessage(other, signature, identity.value.publicKey).granted).toBe(other === text);
      }),
      { numRuns: 25 },
    );
  });

  it("verify any text of a signature without throwing", () => {
    const key = new Uint8Array(32).fill(3);
    fc.assert(fc.property(fc.string(), fc.string(), (text, signature) => !verifyStellarMessage(text, signature, key).granted));
  });
});
