import { StrKey } from "@stellar/stellar-sdk";
import fc from "fast-check";
import { getAddress } from "viem";
import { describe, expect, it } from "vitest";
import { deriveLabel, identityOfLabel, parseIdentity, parseLabel, printIdentity } from "./index.ts";

const evmKeys = fc.uint8Array({ minLength: 20, maxLength: 20 });
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
    ["all upper case", "0xD8DA6BF26964AF9D7EED9E03E53415D37AA96045", "WALLET_CHECKSUM"],
    ["no prefix", "d8da6bf26964af9d7eed9e03e53415d37aa96045", "WALLET_MALFORMED"],
    ["an upper-case prefix", "0Xd8da6bf26964af9d7eed9e03e53415d37aa96045", "WALLET_MALFORMED"],
    ["39 digits", "0xd8da6bf26964af9d7eed9e03e53415d37aa9604", "WALLET_MALFORMED"],
    ["41 digits", "0xd8da6bf26964af9d7eed9e03e53415d37aa960455", "WALLET_MALFORMED"],
    ["a trailing newline", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045\n", "WALLET_MALFORMED"],
    ["full-width digits", "0xd8da6bf26964af9d7eed9e03e53415d37aa9604５", "WALLET_MALFORMED"],
    ["nothing", "", "WALLET_MISSING"],
    ["a number", 7, "WALLET_MISSING"],
    ["a Stellar account with a mistyped character", "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2G", "WALLET_CHECKSUM"],
    ["a Stellar account in lower case", "gbrpyhil2ci3fnq4bxlfmndlfjunpu2hy3zmfshonuceoasw7qc7ox2h", "WALLET_MALFORMED"],
    ["a muxed account", "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ", "WALLET_UNSUPPORTED"],
    ["a contract", "CA3D5KRYM6CB7OWQ6TWYRR3Z4T7GNZLKERYNZGGA5SOAOPIFY6YQGAXE", "WALLET_UNSUPPORTED"],
  ])("refuses %s", (_name, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it("refuses every small-order Stellar key", () => {
    for (const y of [
      "00".repeat(32),
      `01${"00".repeat(31)}`,
      `${"ec"}${"ff".repeat(30)}7f`,
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ]) {
      for (const sign of [0, 0x80]) {
        const key = Buffer.from(y, "hex");
        key[31] = (key[31] ?? 0) | sign;
        expect(parseIdentity(StrKey.encodeEd25519PublicKey(key)).granted).toBe(false);
        expect(parseLabel(StrKey.encodeEd25519PublicKey(key).toLowerCase())).toBeUndefined();
      }
    }
  });

  it("reads anything without throwing", () => {
    fc.assert(fc.property(fc.anything(), (input) => void [parseIdentity(input), parseLabel(input)]));
  });
});
