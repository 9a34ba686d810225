import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseSignature, recoverSigner } from "./eip191.ts";
import { keccak256 } from "./keccak.ts";
import { openNativeSecp256k1, openWasmSecp256k1, type Secp256k1 } from "./signature-checks.ts";
import { fromHex, readVectors, type Wycheproof, type WycheproofTest } from "./vectors-for-tests.ts";

type File = Wycheproof<{ publicKey: { uncompressed: string } }, { msg: string; sig: string }>;

const p1363 = readVectors<File>("wycheproof/ecdsa_secp256k1_sha256_p1363_test.json");
const bitcoin = readVectors<File>("wycheproof/ecdsa_secp256k1_sha256_bitcoin_test.json");
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const libraries = [await openNativeSecp256k1(), await openWasmSecp256k1()];

/** r ‖ s of a strict DER signature (BIP 66): one way to write each number. Undefined for any other bytes. */
function readDer(bytes: Buffer): Buffer | undefined {
  let rest = bytes;
  const take = (tag: number): Buffer | undefined => {
    const length = rest[1];
    if (rest[0] !== tag || length === undefined || length > 127 || rest.length < 2 + length) return undefined;
    const content = rest.subarray(2, 2 + length);
    rest = rest.subarray(2 + length);
    return content;
  };
  const sequence = take(0x30);
  if (sequence === undefined || rest.length > 0) return undefined;
  rest = sequence;
  const scalars = [take(0x02), take(0x02)].map((number) => {
    if (number === undefined || number.length === 0) return undefined;
    const [first = 0, second = 0x80] = number;
    if (first >= 0x80 || (first === 0 && second < 0x80 && number.length > 1)) return undefined;
    const magnitude = first === 0 ? number.subarray(1) : number;
    return magnitude.length > 32 ? undefined : Buffer.concat([Buffer.alloc(32 - magnitude.length), magnitude]);
  });
  return rest.length === 0 && scalars[0] && scalars[1] ? Buffer.concat([scalars[0], scalars[1]]) : undefined;
}

/** What our rules say of r ‖ s under this key: accepted with a v, or why with neither. */
function judge(library: Secp256k1, rs: Buffer | undefined, message: Buffer, publicKey: Buffer): string {
  if (rs === undefined) return "SIGNATURE_FORMAT";
  const hash = createHash("sha256").update(message).digest();
  const address = Buffer.from(keccak256(publicKey.subarray(1)).subarray(12));
  const judged = ["1b", "1c"].map((v) => {
    const parsed = parseSignature(`0x${rs.toString("hex")}${v}`);
    if (!parsed.granted) return parsed.refusal.code;
    const signer = recoverSigner(hash, parsed.value, library);
    if (!signer.granted) return signer.refusal.code;
    return address.equals(signer.value) ? "accepted" : "SIGNER_MISMATCH";
  });
  return judged.find((verdict) => verdict === "accepted") ?? judged[0]!;
}

type Judged = WycheproofTest & { readonly verdict: string };

const judgeFile = (library: Secp256k1, file: File, read: (signature: Buffer) => Buffer | undefined): readonly Judged[] =>
  file.testGroups.flatMap(({ publicKey, tests }) =>
    tests.map((test) => ({
      ...test,
      verdict: judge(library, read(fromHex(test.sig)), fromHex(test.msg), fromHex(publicKey.uncompressed)),
    })),
  );

const differing = (judged: readonly Judged[]): readonly string[] =>
  judged
    .filter(({ verdict, result }) => (verdict === "accepted") !== (result === "valid"))
    .map(({ tcId, verdict, result }) => `${tcId}: ${result}, ${verdict}`);

/** The low one of the two signatures with this r. */
function lowerS(rs: Buffer): Buffer {
  const s = BigInt(`0x${rs.toString("hex", 32) || "0"}`);
  if (rs.length !== 64 || s >= order || 2n * s < order) return rs;
  return Buffer.concat([rs.subarray(0, 32), fromHex((order - s).toString(16).padStart(64, "0"))]);
}

describe.each(libraries)("secp256k1 by $kind code", (library) => {
  it("judges Wycheproof's ecdsa_secp256k1_sha256_bitcoin_test.json as it says, but for a point that a v of 27 or 28 cannot name", () => {
    const judged = judgeFile(library, bitcoin, readDer);
    expect(judged.length).toBe(bitcoin.numberOfTests);
    expect(differing(judged)).toEqual(["346: valid, SIGNER_MISMATCH"]);
  });

  it("finds that point where it is told that its x is beyond the order", () => {
    const { publicKey, tests } = bitcoin.testGroups.find((group) => group.tests.some(({ tcId }) => tcId === 346))!;
    const { sig, msg } = tests.find(({ tcId }) => tcId === 346)!;
    const hash = createHash("sha256").update(fromHex(msg)).digest();
    const keys = ([0, 1, 2, 3] as const).map((id) => library.recover(readDer(fromHex(sig))!, id, hash));
    expect(keys.flatMap((key, id) => (key !== undefined && fromHex(publicKey.uncompressed).equals(key) ? [id] : []))).toEqual([2]);
  });

  it("judges Wycheproof's ecdsa_secp256k1_sha256_p1363_test.json as it says once s is low, and refuses the high ones as such", () => {
    const lowered = judgeFile(library, p1363, lowerS);
    expect(lowered.length).toBe(p1363.numberOfTests);
    expect(differing(lowered)).toEqual(["115: valid, SIGNER_MISMATCH", "247: valid, SIGNER_MISMATCH"]);
    const refused = differing(judgeFile(library, p1363, (signature) => signature));
    expect(refused.length).toBe(72);
    expect(refused.filter((line) => !line.endsWith(": valid, SIGNATURE_NON_CANONICAL"))).toEqual([]);
  });
});
