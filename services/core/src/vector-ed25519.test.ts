import { describe, expect, it } from "vitest";
import { parseIdentity, signEd25519, verifyEd25519 } from "./index.ts";
import { openNativeEd25519, openWasmEd25519 } from "./signature-checks.ts";
import { encodeStellarAccount } from "./stellar-account.ts";
import { fromHex, readVectors, readVectorText, type Wycheproof } from "./vectors-for-tests.ts";

const wycheproof = readVectors<Wycheproof<{ publicKey: { pk: string } }, { msg: string; sig: string }>>("wycheproof/ed25519_test.json");
const speccheck = readVectors<readonly { message: string; pub_key: string; signature: string }[]>("ed25519-speccheck/cases.json");
const smallOrder = readVectors<{ cases: readonly { hex: string; g: string }[] }>("stellar/small-order-accounts.json").cases;

const libraries = [await openNativeEd25519(), await openWasmEd25519()];

describe.each(libraries)("Ed25519 by $kind code", (library) => {
  /** What `verifyEd25519` does, with this library. */
  const verify = (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean =>
    signature.length === 64 && publicKey.length === 32 && library.verify(signature, message, publicKey);

  it("judges every test of Wycheproof's ed25519_test.json as it says", () => {
    const judged = wycheproof.testGroups.flatMap(({ publicKey, tests }) =>
      tests.map(({ tcId, msg, sig, result }) => ({
        tcId,
        isRight: verify(fromHex(sig), fromHex(msg), fromHex(publicKey.pk)) === (result === "valid"),
      })),
    );
    expect(judged.length).toBe(wycheproof.numberOfTests);
    expect(judged.filter(({ isRight }) => !isRight)).toEqual([]);
  });

  it("accepts case 3 of ed25519-speccheck's cases.json and no other, as results.md says of libsodium", () => {
    const row = speccheck.map(({ message, pub_key, signature }) => verify(fromHex(signature), fromHex(message), fromHex(pub_key)));
    expect(row.flatMap((isAccepted, index) => (isAccepted ? [index] : []))).toEqual([3]);
    const published = /^\|LibSodium\s*\|(.*)\|$/m.exec(readVectorText("ed25519-speccheck/results.md"))?.[1];
    expect(row.map((isAccepted) => (isAccepted ? "V" : "X"))).toEqual(published?.split("|").map((cell) => cell.trim()));
  });

  it("takes no forgery for the accounts of small-order-accounts.json, for which R of the identity and S of 0 fit often", () => {
    const forgery = fromHex(`01${"00".repeat(63)}`);
    const messages = Array.from({ length: 200 }, (_, index) => Buffer.alloc(32, index));
    const forged = smallOrder.filter(({ hex }) => messages.some((message) => verify(forgery, message, fromHex(hex))));
    expect(forged).toEqual([]);
  });
});

describe("Ed25519", () => {
  it("gives no Stellar account of small-order-accounts.json an identity", () => {
    expect(smallOrder.length).toBe(14);
    for (const { hex, g } of smallOrder) {
      expect(encodeStellarAccount(fromHex(hex))).toBe(g);
      expect(parseIdentity(g)).toMatchObject({ granted: false, refusal: { code: "WALLET_WEAK_KEY" } });
    }
  });

  it("is false for a signature or a key of another length, and throws for neither", () => {
    const [signature, key] = [new Uint8Array(64), new Uint8Array(32)];
    for (const length of [0, 1, 31, 33, 63, 65, 128]) {
      expect(verifyEd25519(new Uint8Array(length), new Uint8Array(), key)).toBe(false);
      expect(verifyEd25519(signature, new Uint8Array(), new Uint8Array(length))).toBe(false);
    }
  });

  it("signs no message at all, and verifies it", () => {
    const library = libraries[0]!;
    const seed = new Uint8Array(32).fill(7);
    expect(verifyEd25519(signEd25519(new Uint8Array(), seed), new Uint8Array(), library.publicKeyOf(seed))).toBe(true);
  });
});
