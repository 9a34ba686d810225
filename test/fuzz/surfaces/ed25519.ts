/** Ed25519 itself: three byte strings, and whether the key signed. What is accepted, two other libraries have to accept. */
import { createPublicKey, verify } from "node:crypto";
import { verifyEd25519 } from "@keyhole/core";
import { Keypair, StrKey } from "@stellar/stellar-sdk";
import type { Prng } from "../../chaos/prng.ts";
import { mutateBytes, randomBytesOf } from "../mutate.ts";
import type { Doubt } from "../oracle.ts";
import { isWeakPoint, stellarKeyOf } from "../strict-forms.ts";
import { broken, decodeInput, encodeInput, judged, type Surface } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";

const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const spkiHead = Buffer.from("302a300506032b6570032100", "hex");
const field = 2n ** 255n - 19n;

/** One surface: `ed25519`. */
export function createEd25519Surface(world: FuzzWorld, check: typeof verifyEd25519 = verifyEd25519): Surface {
  return {
    name: "ed25519",
    share: 5,
    lanes: 1,
    mustSee: ["admitted", "refused"],
    make: (prng) =>
      encodeInput(Object.fromEntries(Object.entries(draw(world, prng)).map(([name, bytes]) => [name, Buffer.from(bytes).toString("hex")]))),
    run: (input) => {
      const { signature, message, publicKey, good } = decode(input);
      if (!check(signature, message, publicKey))
        return good.length > 0 ? broken("refused", "refusal", "a good signature was refused") : { code: "refused" };
      return judged("admitted", doubtSignature(signature, message, publicKey));
    },
  };
}

type Drawn = { readonly signature: Uint8Array; readonly message: Uint8Array; readonly publicKey: Uint8Array; readonly good: Uint8Array };

function draw(world: FuzzWorld, prng: Prng): Drawn {
  const [wallet, other] = [prng.pick(world.stellar), prng.pick(world.stellar)];
  const message = randomBytesOf(prng, prng.pick([0, 1, 32, 100]));
  const publicKey = stellarKeyOf(wallet.address) ?? Buffer.alloc(32);
  const good = { signature: wallet.signBytes(message), message, publicKey, good: Buffer.alloc(0) };
  const weak = Buffer.from(
    prng.pick([
      "00".repeat(32),
      `01${"00".repeat(31)}`,
      `ec${"ff".repeat(30)}7f`,
      `ee${"ff".repeat(30)}ff`,
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ]),
    "hex",
  );
  const zeros = Buffer.alloc(32);
  return prng.pick<() => Drawn>([
    () => ({ ...good, good: Buffer.from([1]) }),
    () => ({ ...good, signature: mutateBytes(good.signature, prng) }),
    () => ({ ...good, message: mutateBytes(message, prng) }),
    () => ({ ...good, publicKey: mutateBytes(publicKey, prng) }),
    () => ({ ...good, publicKey: stellarKeyOf(other.address) ?? zeros }),
    () => ({ ...good, signature: addOrder(good.signature) }),
    () => ({ ...good, publicKey: weak }),
    () => ({ ...good, publicKey: weak, signature: Buffer.concat([weak, zeros]) }),
    () => ({ ...good, signature: Buffer.concat([prng.pick([weak, publicKey, zeros]), prng.pick([zeros, good.signature.subarray(32)])]) }),
  ])();
}

/** The same signature with S + L: everybody can make it, and RFC 8032 refuses it. */
function addOrder(signature: Uint8Array): Uint8Array {
  const s = readLittleEndian(signature.subarray(32)) + order;
  const bytes = Buffer.from(s.toString(16).padStart(64, "0").slice(-64), "hex").reverse();
  return Buffer.concat([signature.subarray(0, 32), bytes]);
}

const readLittleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex") || "0"}`);

function doubtSignature(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): Doubt {
  if (signature.length !== 64 || publicKey.length !== 32) return "a length is wrong";
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  if (readLittleEndian(s) >= order) return "S is not below the order";
  for (const [name, point] of [
    ["R", r],
    ["the key", publicKey],
  ] as const) {
    if (isWeakPoint(point)) return `${name} is a point of small order`;
    if ((readLittleEndian(point) & (2n ** 255n - 1n)) >= field) return `${name} is not canonical`;
  }
  const key = createPublicKey({ key: Buffer.concat([spkiHead, publicKey]), format: "der", type: "spki" });
  if (!verify(null, message, key, signature)) return "node:crypto says that the key did not sign it";
  const account = StrKey.encodeEd25519PublicKey(Buffer.from(publicKey));
  return Keypair.fromPublicKey(account).verify(Buffer.from(message), Buffer.from(signature))
    ? undefined
    : "stellar-sdk says that the key did not sign it";
}

function decode(input: Uint8Array): Drawn {
  const given = decodeInput(input) as Readonly<Record<string, unknown>> | null;
  const bytes = (name: string): Buffer => Buffer.from(typeof given?.[name] === "string" ? given[name] : "", "hex");
  return { signature: bytes("signature"), message: bytes("message"), publicKey: bytes("publicKey"), good: bytes("good") };
}
