import fc from "fast-check";
import { type Hex, hashMessage, parseSignature, serializeSignature, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";
import {
  addressOfPrivateKey,
  derivePrivateKey,
  hashPersonalMessage,
  printIdentity,
  printRevokeMessage,
  printTunnelMessage,
  publicKeyOfSeed,
  signEd25519,
  signPersonalMessage,
  signStellarMessage,
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

  it("is signed with a key that keeps every random bit but two", () => {
    const random = Uint8Array.from({ length: 32 }, (_, index) => 0xff - index);
    expect(Buffer.from(derivePrivateKey(random)).toString("hex")).toBe(`7f${Buffer.from(random).toString("hex").slice(2, -2)}e1`);
    expect(derivePrivateKey(random.with(31, 0xe2))[31]).toBe(0xe3);
    expect(random[0]).toBe(0xff);
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
    expect(codeOf({ ...proof, timestamp: timestamp + 1 })).toBe("SIGNER_MISMATCH");
    expect(codeOf({ ...proof, walletAddress: wallet.address.toLowerCase() })).toBe("SIGNER_MISMATCH");
    expect(codeOf({ ...proof, walletAddress: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" })).toBe("SIGNER_MISMATCH");
  });

  it("is refused in its malleable form: high s with the other v", async () => {
    const proof = await sign();
    const { r, s, yParity } = parseSignature(proof.signature as Hex);
    const twin = serializeSignature({ r, s: toHex(order - BigInt(s), { size: 32 }), yParity: yParity === 0 ? 1 : 0 });
    expect(codeOf({ ...proof, signature: twin })).toBe("SIGNATURE_NON_CANONICAL");
  });

  it.each([
    ["r of 0", `${"00".repeat(32)}${"01".repeat(32)}1b`, "SIGNATURE_INVALID", {}],
    ["s of 0", `${"01".repeat(32)}${"00".repeat(32)}1b`, "SIGNATURE_INVALID", {}],
    ["r of the order", `${order.toString(16)}${"01".repeat(32)}1b`, "SIGNATURE_INVALID", {}],
    ["s of the order", `${"01".repeat(32)}${order.toString(16)}1b`, "SIGNATURE_INVALID", {}],
    ["all zeros", "00".repeat(65), "SIGNATURE_INVALID", {}],
    ["all ones", "ff".repeat(65), "SIGNATURE_INVALID", {}],
    ["an r that no point has", `${"00".repeat(31)}05${"01".repeat(32)}1b`, "SIGNATURE_INVALID", {}],
    ["v of 2", `${"01".repeat(64)}02`, "SIGNATURE_FORMAT", {}],
    ["v of 26", `${"01".repeat(64)}1a`, "SIGNATURE_FORMAT", {}],
    ["v of 29", `${"01".repeat(64)}1d`, "SIGNATURE_FORMAT", {}],
    ["v of a chain (EIP-155)", `${"01".repeat(64)}25`, "SIGNATURE_FORMAT", {}],
    ["no bytes", "", "SIGNATURE_LENGTH", { bytes: 0, expectedBytes: 65 }],
    ["64 bytes, the compact form of EIP-2098", "01".repeat(64), "SIGNATURE_LENGTH", { bytes: 64, expectedBytes: 65 }],
    ["66 bytes", "01".repeat(66), "SIGNATURE_LENGTH", { bytes: 66, expectedBytes: 65 }],
    ["half a byte too much", `${"01".repeat(65)}0`, "SIGNATURE_FORMAT", {}],
    ["no hexadecimal", "zz".repeat(65), "SIGNATURE_FORMAT", {}],
    ["a contract wallet (ERC-6492)", `${"01".repeat(65)}${"6492".repeat(16)}`, "SIGNATURE_KIND_UNSUPPORTED", {}],
  ])("is refused with a signature of %s", (_name, digits, code, facts) => {
    const verdict = verifyProof({ walletAddress: wallet.address, timestamp, signature: `0x${digits}` }, { productName });
    expect(verdict).toEqual({ granted: false, refusal: { code, facts } });
  });

  it("is refused where 0x is missing, written 0X, or something stands around it", async () => {
    const { signature, ...rest } = await sign();
    for (const text of [signature.slice(2), signature.replace("0x", "0X"), ` ${signature}`, `${signature}\n`, `0x${signature}`]) {
      expect(codeOf({ ...rest, signature: text })).toBe("SIGNATURE_FORMAT");
    }
  });

  it("names the text that should have been signed when the signer is another one", async () => {
    const proof = await sign();
    const verdict = verifyProof({ ...proof, timestamp: 5 }, { productName });
    const expectedMessage = printTunnelMessage({ ...proof, timestamp: 5 }, productName);
    expect(verdict).toEqual({ granted: false, refusal: { code: "SIGNER_MISMATCH", facts: { expectedMessage } } });
  });
});

const seed = new Uint8Array(32).fill(9);
const account = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(seed) });

describe("proof of a Stellar account", () => {
  const message = printTunnelMessage({ walletAddress: account, timestamp }, productName);
  const signature = signStellarMessage(message, seed);
  const proofOf = (text: string): TunnelProof => ({ walletAddress: account, timestamp, signature: text });

  it("is accepted in base64 and in hexadecimal digits", () => {
    const digits = Buffer.from(signature, "base64").toString("hex");
    for (const text of [signature, digits, digits.toUpperCase(), `0x${digits}`]) expect(codeOf(proofOf(text))).toBe(account);
  });

  it.each([
    ["nothing", "", "SIGNATURE_FORMAT", {}],
    ["no base64", "*".repeat(88), "SIGNATURE_FORMAT", {}],
    ["hexadecimal digits with something before them", `x${"01".repeat(64)}`, "SIGNATURE_FORMAT", {}],
    ["hexadecimal digits with something behind them", `${"01".repeat(64)}x`, "SIGNATURE_FORMAT", {}],
    ["half a byte too much", `${"01".repeat(64)}0`, "SIGNATURE_FORMAT", {}],
    ["0x and nothing", "0x", "SIGNATURE_FORMAT", {}],
    ["base64 without its padding", signature.replaceAll("=", ""), "SIGNATURE_FORMAT", {}],
    ["base64url", Buffer.from(new Uint8Array(64).fill(0xff)).toString("base64url"), "SIGNATURE_FORMAT", {}],
    ["base64 with bits beyond its bytes", `${"A".repeat(85)}B==`, "SIGNATURE_FORMAT", {}],
    ["base64 with a line end", `${signature}\n`, "SIGNATURE_FORMAT", {}],
    ["63 bytes", Buffer.alloc(63, 0xff).toString("base64"), "SIGNATURE_LENGTH", { bytes: 63, expectedBytes: 64 }],
    ["65 bytes, as an EVM wallet signs", `0x${"01".repeat(65)}`, "SIGNATURE_LENGTH", { bytes: 65, expectedBytes: 64 }],
    ["no wallet", Buffer.alloc(64).toString("base64"), "SIGNATURE_INVALID", { expectedMessage: message }],
  ])("is refused with a signature of %s", (_name, text, code, facts) => {
    expect(verifyProof(proofOf(text), { productName })).toEqual({ granted: false, refusal: { code, facts } });
  });

  it("is refused when another text was signed, another account signed, or the text was signed without SEP-53's prefix or hash", () => {
    const prefixed = Buffer.from(`Stellar Signed Message:\n${message}`);
    const wrong = [
      signStellarMessage(message.replaceAll("\n", "\r\n"), seed),
      signStellarMessage(message, new Uint8Array(32).fill(8)),
      Buffer.from(signEd25519(Buffer.from(message), seed)).toString("base64"),
      Buffer.from(signEd25519(prefixed, seed)).toString("base64"),
    ];
    for (const text of wrong) expect(codeOf(proofOf(text))).toBe("SIGNATURE_INVALID");
  });
});

describe("proof for revoking", () => {
  it("is its own text, word for word", () => {
    expect(printRevokeMessage({ walletAddress: "0xABC", timestamp }, productName)).toBe(
      "Sign this message to revoke all tunnel access for your Vana Personal Server.\n\nWallet: 0xABC\nTimestamp: 1707091200",
    );
  });

  it.each([
    ["an EVM wallet", wallet.address, (text: string) => wallet.signMessage({ message: text }), "SIGNER_MISMATCH"],
    ["a Stellar account", account, (text: string) => signStellarMessage(text, seed), "SIGNATURE_INVALID"],
  ])("of %s revokes and buys no token, and the other way round", async (_name, walletAddress, signText, code) => {
    const proofs = {
      token: { walletAddress, timestamp, signature: await signText(printTunnelMessage({ walletAddress, timestamp }, productName)) },
      revoke: { walletAddress, timestamp, signature: await signText(printRevokeMessage({ walletAddress, timestamp }, productName)) },
    };
    const verdicts = (["token", "revoke"] as const).flatMap((signed) =>
      (["token", "revoke"] as const).map((purpose) => {
        const verdict = verifyProof(proofs[signed], { productName, purpose });
        return verdict.granted ? `${signed} for ${purpose}` : verdict.refusal.code;
      }),
    );
    expect(verdicts).toEqual(["token for token", code, code, "revoke for revoke"]);
  });
});
