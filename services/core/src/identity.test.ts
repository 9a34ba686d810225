import { StrKey } from "@stellar/stellar-sdk";
import fc from "fast-check";
import { getAddress } from "viem";
import { describe, expect, it } from "vitest";
import { deriveLabel, identityOfLabel, parseIdentity, parseLabel, printIdentity } from "./index.ts";

const evmKeys = fc.uint8Array({ minLength: 20, maxLength: 20 }).filter((key) => key.subarray(0, 19).some((byte) => byte !== 0));
const stellarKeys = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((key) => key.some((byte, index) => index > 0 && index < 31 && byte !== 0 && byte !== 0xff));

const codeOf = (text: unknown): string => {
  const verdict = parseIdentity(text);
  return verdict.granted ? "granted" : verdict.refusal.code;
};

describe("identity", () => {
  it("3: printing a parsed EVM address gives the EIP-55 form that viem gives", () => {
    fc.assert(
      fc.property(evmKeys, (key) => {
        const text = `0x${Buffer.from(key).toString("hex")}`;
        const parsed = parseIdentity(text);
        expect(parsed.granted && printIdentity(parsed.value)).toBe(getAddress(text as `0x${string}`));
        expect(codeOf(getAddress(text as `0x${string}`))).toBe("granted");
      }),
    );
  });

  it("3: printing a parsed Stellar account gives it back, as stellar-sdk writes it", () => {
    fc.assert(
      fc.property(stellarKeys, (key) => {
        const text = StrKey.encodeEd25519PublicKey(Buffer.from(key));
        const parsed = parseIdentity(text);
        expect(parsed.granted && printIdentity(parsed.value)).toBe(text);
      }),
    );
  });

  it("3: a label gives back its identity, and labels of EVM and Stellar keys cannot collide", () => {
    fc.assert(
      fc.property(evmKeys, stellarKeys, (evm, stellar) => {
        const evmLabel = deriveLabel({ namespace: "eip155", address: evm });
        const stellarLabel = deriveLabel({ namespace: "stellar", publicKey: stellar });
        expect(evmLabel).not.toBe(stellarLabel);
        expect(evmLabel).toMatch(/^0x[0-9a-f]{40}$/);
        expect(stellarLabel).toMatch(/^g[a-z2-7]{55}$/);
        expect(parseLabel(evmLabel)).toBe(evmLabel);
        expect(parseLabel(stellarLabel)).toBe(stellarLabel);
        expect(identityOfLabel(evmLabel)).toEqual({ namespace: "eip155", address: evm });
        expect(identityOfLabel(stellarLabel)).toEqual({ namespace: "stellar", publicKey: stellar });
      }),
    );
  });

  it.each([
    ["a wrong checksum", "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046", "WALLET_CHECKSUM"],
    ["Cyrillic look-alikes", "0xd8da6bf26964аf9d7eed9e03e53415d37aa96045", "WALLET_FORMAT"],
    ["white space around it", " 0xd8da6bf26964af9d7eed9e03e53415d37aa96045", "WALLET_FORMAT"],
    ["the zero address", `0x${"0".repeat(40)}`, "WALLET_RESERVED"],
    ["the first precompile", `0x${"0".repeat(39)}1`, "WALLET_RESERVED"],
    ["a precompile with a letter", `0x${"0".repeat(39)}A`, "WALLET_RESERVED"],
    ["the last precompile", `0x${"0".repeat(38)}11`, "WALLET_RESERVED"],
    ["all upper case", "0xD8DA6BF26964AF9D7EED9E03E53415D37AA96045", "WALLET_CHECKSUM"],
    ["no prefix", "d8da6bf26964af9d7eed9e03e53415d37aa96045", "WALLET_FORMAT"],
    ["an upper-case prefix", "0Xd8da6bf26964af9d7eed9e03e53415d37aa96045", "WALLET_FORMAT"],
    ["39 digits", "0xd8da6bf26964af9d7eed9e03e53415d37aa9604", "WALLET_FORMAT"],
    ["41 digits", "0xd8da6bf26964af9d7eed9e03e53415d37aa960455", "WALLET_FORMAT"],
    ["a trailing newline", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045\n", "WALLET_FORMAT"],
    ["full-width digits", "0xd8da6bf26964af9d7eed9e03e53415d37aa9604５", "WALLET_FORMAT"],
    ["nothing", "", "WALLET_REQUIRED"],
    ["a number", 7, "WALLET_REQUIRED"],
    ["a Stellar account with a mistyped character", "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2G", "WALLET_CHECKSUM"],
    ["a Stellar account in lower case", "gbrpyhil2ci3fnq4bxlfmndlfjunpu2hy3zmfshonuceoasw7qc7ox2h", "WALLET_FORMAT"],
    ["a muxed account", "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ", "WALLET_KIND_UNSUPPORTED"],
    ["a Stellar account cut short", "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2", "WALLET_FORMAT"],
    ["a Stellar secret", "SCBX7PEHKPC67BA4MPYAHZYVVTFESUWL3UOGMRL3ZW2ZTRJULS3U5MRN", "WALLET_FORMAT"],
    ["a contract", "CA3D5KRYM6CB7OWQ6TWYRR3Z4T7GNZLKERYNZGGA5SOAOPIFY6YQGAXE", "WALLET_KIND_UNSUPPORTED"],
  ])("refuses %s", (_name, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it.each([
    ["preAuthTx", StrKey.encodePreAuthTx(Buffer.alloc(32, 7))],
    ["sha256Hash", StrKey.encodeSha256Hash(Buffer.alloc(32, 7))],
    ["contract", StrKey.encodeContract(Buffer.alloc(32, 7))],
    ["liquidityPool", StrKey.encodeLiquidityPool(Buffer.alloc(32, 7))],
    ["claimableBalance", StrKey.encodeClaimableBalance(Buffer.alloc(33))],
    ["med25519PublicKey", StrKey.encodeMed25519PublicKey(Buffer.alloc(40, 7))],
    ["signedPayload", StrKey.encodeSignedPayload(Buffer.concat([Buffer.alloc(32, 7), Buffer.from([0, 0, 0, 4]), Buffer.alloc(4, 7)]))],
  ])("refuses the StrKey of a %s: it cannot sign", (_kind, text) => {
    expect(codeOf(text)).toBe("WALLET_KIND_UNSUPPORTED");
  });

  it("takes the first address that is no precompile", () => {
    expect(codeOf(`0x${"0".repeat(38)}12`)).toBe("granted");
  });

  it("says what is wrong: the right checksum, how many digits or characters", () => {
    expect(parseIdentity("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046")).toMatchObject({
      refusal: { facts: { expected: getAddress("0xd8da6bf26964af9d7eed9e03e53415d37aa96046") } },
    });
    expect(parseIdentity("0xd8da")).toMatchObject({ refusal: { facts: { digits: 4, expectedDigits: 40 } } });
    expect(parseIdentity("GBRP")).toMatchObject({ refusal: { facts: { characters: 4, expectedCharacters: 56 } } });
  });

  it("repeats nothing of a secret that was sent for an address", () => {
    const secret = "SCBX7PEHKPC67BA4MPYAHZYVVTFESUWL3UOGMRL3ZW2ZTRJULS3U5MRN";
    expect(parseIdentity(secret)).toEqual({ granted: false, refusal: { code: "WALLET_FORMAT", facts: {} } });
    expect(parseIdentity(secret.slice(1))).toEqual({ granted: false, refusal: { code: "WALLET_KIND_UNSUPPORTED", facts: {} } });
  });

  it("refuses every small-order or non-canonical Stellar key as WALLET_WEAK_KEY", () => {
    for (const y of [
      "00".repeat(32),
      `01${"00".repeat(31)}`,
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      ...Array.from({ length: 20 }, (_, index) => `${(0xec + index).toString(16)}${"ff".repeat(30)}7f`),
    ]) {
      for (const sign of [0, 0x80]) {
        const key = Buffer.from(y, "hex");
        key[31] = (key[31] ?? 0) | sign;
        expect(codeOf(StrKey.encodeEd25519PublicKey(key))).toBe("WALLET_WEAK_KEY");
        expect(parseLabel(StrKey.encodeEd25519PublicKey(key).toLowerCase())).toBeUndefined();
      }
    }
  });

  it("reads anything without throwing", () => {
    fc.assert(fc.property(fc.anything(), (input) => void [parseIdentity(input), parseLabel(input)]));
  });
});
