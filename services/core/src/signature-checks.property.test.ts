import { Keypair } from "@stellar/stellar-sdk";
import fc from "fast-check";
import { type Hex, recoverAddress, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";
import { parseSignature, recoverSigner } from "./eip191.ts";
import { derivePrivateKey, verifyEd25519 } from "./index.ts";
import { openNativeEd25519, openNativeSecp256k1, openWasmEd25519, openWasmSecp256k1 } from "./signature-checks.ts";

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const secp256k1 = [await openNativeSecp256k1(), await openWasmSecp256k1()] as const;
const ed25519 = [await openNativeEd25519(), await openWasmEd25519()] as const;

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const privateKeys = bytes32.map(derivePrivateKey);
const hex32 = (value: bigint): string => value.toString(16).padStart(64, "0");
const attempt = <T>(make: () => T): T | "refused" => {
  try {
    return make();
  } catch {
    return "refused";
  }
};

/** Scalars where implementations part: around 0, the order, half of it, the field's prime; and any. */
const scalars = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, order / 2n, order / 2n + 1n, order - 1n, order, order + 1n, 2n ** 256n - 2n ** 32n - 977n, 2n ** 256n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
);

/** What may become of a good signature on its way. */
const changes = fc.oneof(
  fc.constant((rs: string) => rs),
  fc.constant((rs: string) => rs.slice(0, 64) + hex32(order - BigInt(`0x${rs.slice(64)}`))),
  scalars.map((scalar) => (rs: string) => hex32(scalar) + rs.slice(64)),
  scalars.map((scalar) => (rs: string) => rs.slice(0, 64) + hex32(scalar)),
  fc.tuple(scalars, scalars).map(
    ([r, s]) =>
      (_rs: string) =>
        hex32(r) + hex32(s),
  ),
  fc.nat(511).map((bit) => (rs: string) => {
    const bytes = Buffer.from(rs, "hex");
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return bytes.toString("hex");
  }),
);

describe("secp256k1", () => {
  it("native and wasm recover the same key, or none, from good and altered signatures and every recovery id", () => {
    fc.assert(
      fc.property(privateKeys, bytes32, changes, fc.constantFrom<0 | 1 | 2 | 3>(0, 1, 2, 3), (key, hash, change, id) => {
        const rs = Buffer.from(change(Buffer.from(secp256k1[0].sign(hash, key).signature).toString("hex")), "hex");
        const [native, wasm] = secp256k1.map((library) => library.recover(rs, id, hash));
        expect(native && toHex(native)).toBe(wasm && toHex(wasm));
      }),
      { numRuns: 400 },
    );
  });

  it("native and wasm sign alike, with low s, and derive the same public key; both throw for what is no key", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bytes32,
          fc.constantFrom(0n, order, order + 1n).map((key) => Buffer.from(hex32(key), "hex")),
        ),
        bytes32,
        (key, hash) => {
          const [native, wasm] = secp256k1.map((library) =>
            attempt(() => {
              const { signature, recoveryId } = library.sign(hash, key);
              return [toHex(library.publicKeyOf(key)), toHex(signature), recoveryId];
            }),
          );
          expect(native).toEqual(wasm);
          const scalar = BigInt(toHex(key));
          expect(native === "refused").toBe(scalar === 0n || scalar >= order);
          if (native !== undefined && native !== "refused") expect(BigInt(`0x${String(native[1]).slice(66)}`) <= order / 2n).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("our rules accept the same signer as viem, wherever s is low and v is one of four; and nothing that viem refuses", async () => {
    const texts = fc.constantFrom(0, 1, 2, 26, 27, 28, 29, 37, 255).map((v) => v.toString(16).padStart(2, "0"));
    await fc.assert(
      fc.asyncProperty(privateKeys, bytes32, changes, texts, async (key, hash, change, v) => {
        const rs = change((await privateKeyToAccount(toHex(key)).sign({ hash: toHex(hash) })).slice(2, 130));
        const text: Hex = `0x${rs}${v}`;
        const parsed = parseSignature(text);
        const ours = secp256k1.map((library) => {
          const signer = parsed.granted ? recoverSigner(hash, parsed.value, library) : parsed;
          return signer.granted ? toHex(signer.value) : "refused";
        });
        const theirs = await recoverAddress({ hash: toHex(hash), signature: text }).catch(() => "refused");
        const s = BigInt(`0x${rs.slice(64)}`);
        const isLow = s > 0n && s <= order / 2n;
        const isNamed = ["00", "01", "1b", "1c"].includes(v);
        expect(ours).toEqual(Array(2).fill(isLow && isNamed ? theirs.toLowerCase() : "refused"));
      }),
      { numRuns: 100 },
    );
  });
});

describe("Ed25519", () => {
  it("native, wasm and stellar-sdk make the same key and signature of a seed", () => {
    fc.assert(
      fc.property(bytes32, fc.uint8Array({ maxLength: 300 }), (seed, message) => {
        const pair = Keypair.fromRawEd25519Seed(Buffer.from(seed));
        for (const library of ed25519) {
          expect(toHex(library.publicKeyOf(seed))).toBe(toHex(pair.rawPublicKey()));
          expect(toHex(library.sign(message, seed))).toBe(toHex(pair.sign(Buffer.from(message))));
        }
      }),
      { numRuns: 25 },
    );
  });

  it("native, wasm and stellar-sdk agree on good signatures, altered ones, and such of another key or message", () => {
    /** Where in signature ‖ key ‖ message a bit is turned over; nowhere for a good one. */
    const flips = fc.option(fc.nat(1023), { nil: undefined });
    fc.assert(
      fc.property(bytes32, bytes32, flips, (seed, message, flip) => {
        const [library] = ed25519;
        const all = Buffer.concat([library.sign(message, seed), library.publicKeyOf(seed), message]);
        if (flip !== undefined) all[flip >> 3] = (all[flip >> 3] ?? 0) ^ (1 << (flip & 7));
        const [signature, key, text] = [all.subarray(0, 64), all.subarray(64, 96), all.subarray(96)];
        const theirs = attempt(() => new Keypair({ type: "ed25519", publicKey: key }).verify(text, signature)) === true;
        const ours = [...ed25519.map((each) => each.verify(signature, text, key)), verifyEd25519(signature, text, key)];
        expect(ours).toEqual(Array(3).fill(theirs));
        expect(theirs).toBe(flip === undefined);
      }),
      { numRuns: 100 },
    );
  });

  it("native and wasm agree on S beyond the order, and on keys and R at the edges of the field", () => {
    const edges = [
      0n,
      1n,
      2n ** 255n - 20n,
      2n ** 255n - 19n,
      2n ** 255n - 18n,
      2n ** 255n - 1n,
      2n ** 255n,
      2n ** 255n + 1n,
      2n ** 256n - 1n,
    ];
    const encoded = fc.constantFrom(...edges).map((value) => Buffer.from(hex32(value), "hex").reverse());
    fc.assert(
      fc.property(bytes32, bytes32, fc.option(encoded), fc.option(encoded), fc.nat(15), (seed, message, r, key, multiples) => {
        const [library] = ed25519;
        const signature = Buffer.from(library.sign(message, seed));
        const beyond =
          (BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + BigInt(multiples) * groupOrder) % 2n ** 256n;
        signature.set(Buffer.from(hex32(beyond), "hex").reverse(), 32);
        if (r !== null) signature.set(r);
        const verdicts = ed25519.map((each) => each.verify(signature, message, key ?? library.publicKeyOf(seed)));
        expect(verdicts).toEqual(Array(2).fill(multiples === 0 && r === null && key === null));
      }),
      { numRuns: 200 },
    );
  });
});

const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n;
