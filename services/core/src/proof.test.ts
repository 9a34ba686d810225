import fc from "fast-check";
import { type Hex, hashMessage, parseSignature, serializeSignature, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";
import {
  addressOfPrivateKey,
  derivePrivateKey,
  hashPersonalMessage,
  printIdentity,
  printTunnelMessage,
  signPersonalMessage,
  type TunnelProof,
  verifyProof,
} from "./index.ts";

const productName = "Vana Personal Server";
const wallet = privateKeyToAccount(`0x${"11".repeat(32)}`);
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const timestamp = 1707091200;

const sign = async (walletAddress: string = wallet.address): Promise<TunnelProof> => ({
  walletAddress,
  timestamp,
  signature: await wallet.signMessage({ message: printTunnelMessage({ walletAddress, timestamp }, productName) }),
});
const codeOf = (proof: TunnelProof): string => {
  const verdict = verifyProof(proof, { productName });
  return verdict.granted ? printIdentity(verdict.value) : verdict.refusal.code;
};

describe("proof", () => {
  it("is the public API's message, word for word", () => {
    expect(printTunnelMessage({ walletAddress: "0xABC", timestamp }, productName)).toBe(
      "Sign this message to authorize tunnel access for your Vana Personal Server.\n\nWallet: 0xABC\nTimestamp: 1707091200",
    );
  });

  it("hashes and signs as viem does", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme" }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((key) => key[0] !== 0 && key[0] !== 0xff),
        async (message, key) => {
          expect(toHex(hashPersonalMessage(message))).toBe(hashMessage(message));
          const account = privateKeyToAccount(toHex(key));
          expect(toHex(addressOfPrivateKey(key))).toBe(account.address.toLowerCase());
          expect(signPersonalMessage(message, key)).toBe(await account.signMessage({ message }));
        },
      ),
      { numRuns: 20 },
    );
  });

  it("can be signed with a key of any 32 random bytes, all zero or all ones too", () => {
    for (const fill of [0x00, 0xff]) {
      const key = derivePrivateKey(new Uint8Array(32).fill(fill));
      expect(toHex(addressOfPrivateKey(key))).toBe(privateKeyToAccount(toHex(key)).address.toLowerCase());
    }
  });

  it("is accepted for the address as it was sent, in either spelling", async () => {
    expect(codeOf(await sign())).toBe(wallet.address);
    expect(codeOf(await sign(wallet.address.toLowerCase()))).toBe(wallet.address);
  });

  it("is accepted with v of 0 and 1 in the place of 27 and 28", async () => {
    const proof = await sign();
    const v = Number.parseInt(proof.signature.slice(-2), 16) - 27;
    expect(codeOf({ ...proof, signature: `${proof.signature.slice(0, -2)}0${v}` })).toBe(wallet.address);
  });

  it("is refused when the text, the address or the time is another one", async () => {
    const proof = await sign();
    expect(codeOf({ ...proof, timestamp: timestamp + 1 })).toBe("SIGNATURE_MISMATCH");
    expect(codeOf({ ...proof, walletAddress: wallet.address.toLowerCase() })).toBe("SIGNATURE_MISMATCH");
    expect(codeOf({ ...proof, walletAddress: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" })).toBe("SIGNATURE_MISMATCH");
  });

  it("is refused in its malleable form: high s with the other v", async () => {
    const proof = await sign();
    const { r, s, yParity } = parseSignature(proof.signature as Hex);
    const twin = serializeSignature({ r, s: toHex(order - BigInt(s), { size: 32 }), yParity: yParity === 0 ? 1 : 0 });
    expect(codeOf({ ...proof, signature: twin })).toBe("SIGNATURE_HIGH_S");
  });

  it.each([
    ["r of 0", `${"00".repeat(32)}${"01".repeat(32)}1b`, "SIGNATURE_MISMATCH"],
    ["s of 0", `${"01".repeat(32)}${"00".repeat(32)}1b`, "SIGNATURE_MISMATCH"],
    ["r of the order", `${order.toString(16)}${"01".repeat(32)}1b`, "SIGNATURE_MISMATCH"],
    ["all ones", "ff".repeat(65), "SIGNATURE_MALFORMED"],
    ["v of 29", `${"01".repeat(64)}1d`, "SIGNATURE_MALFORMED"],
    ["64 bytes", "01".repeat(64), "SIGNATURE_MALFORMED"],
    ["66 bytes", "01".repeat(66), "SIGNATURE_MALFORMED"],
    ["no hexadecimal", "zz".repeat(65), "SIGNATURE_MALFORMED"],
  ])("is refused with a signature of %s", (_name, digits, code) => {
    expect(codeOf({ walletAddress: wallet.address, timestamp, signature: `0x${digits}` })).toBe(code);
  });

  it("is refused for a Stellar account until that proof is built", () => {
    expect(codeOf({ walletAddress: "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2H", timestamp, signature: "0x" })).toBe(
      "WALLET_UNSUPPORTED",
    );
  });
});
