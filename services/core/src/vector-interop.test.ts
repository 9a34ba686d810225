import { createHash, createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { Keypair, StrKey } from "@stellar/stellar-sdk";
import sodium from "libsodium-wrappers";
import { hashTypedData, recoverMessageAddress, recoverTypedDataAddress, type TypedDataDomain } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";
import { recoverPersonalSigner } from "./eip191.ts";
import {
  addressOfPrivateKey,
  decodeStellarSecret,
  deriveLabel,
  encodeStellarSecret,
  hashPersonalMessage,
  identityOfLabel,
  parseIdentity,
  parseLabel,
  printIdentity,
  printTunnelMessage,
  publicKeyOfSeed,
  signPersonalMessage,
  type TunnelProof,
  verifyProof,
} from "./index.ts";
import { signWithRing } from "./key-ring.ts";
import { fromHex, readVectors } from "./vectors-for-tests.ts";

type Hex = `0x${string}`;
type Vector = { readonly id: string; readonly use: string };

const vectors = readVectors<{ vectors: readonly Vector[] }>("interop.json").vectors;
/** The vector with this id, of the shape that the test says it has. */
const vector = <Shape>(id: string): Shape & Vector => vectors.find((one) => one.id === id) as Shape & Vector;

const productName = "Vana Personal Server";
const codeOf = (proof: TunnelProof): string => {
  const verdict = verifyProof(proof, { productName });
  return verdict.granted ? printIdentity(verdict.value) : verdict.refusal.code;
};

type Signed = { privateKey: Hex; message: string; messageUtf8Length: number; eip191Hash: Hex; signature: Hex; signer: Hex };

describe("interop.json, the token request of the public API", () => {
  it.each(["vana.seed.token-request.checksummed", "vana.seed.token-request.lowercase"])(
    "%s: its text, its hash and its signature are ours, and it proves its wallet",
    (id) => {
      const { request, message, eip191Hash, privateKey, signature, signer } = vector<Signed & { request: Omit<TunnelProof, "signature"> }>(
        id,
      );
      expect(printTunnelMessage(request, productName)).toBe(message);
      expect(Buffer.from(hashPersonalMessage(message))).toEqual(fromHex(eip191Hash));
      expect(signPersonalMessage(message, fromHex(privateKey))).toBe(signature);
      expect(codeOf({ ...request, signature })).toBe(signer);
    },
  );

  it("vana.seed.token-request.lowercase: a signature of one spelling of the address is none of the other", () => {
    const [checksummed, lowercase] = ["checksummed", "lowercase"].map((name) =>
      vector<Signed & { request: TunnelProof }>(`vana.seed.token-request.${name}`),
    );
    expect(codeOf({ ...lowercase!.request, signature: checksummed!.signature })).toBe("SIGNER_MISMATCH");
    expect(codeOf({ ...checksummed!.request, signature: lowercase!.signature })).toBe("SIGNER_MISMATCH");
  });

  it.each([
    ["vana.seed.token-request.crlf", "SIGNER_MISMATCH"],
    ["vana.seed.token-request.wrong-wallet", "SIGNER_MISMATCH"],
    ["vana.seed.token-request.malformed-address", "WALLET_FORMAT"],
    ["vana.seed.token-request.high-s-twin", "SIGNATURE_NON_CANONICAL"],
  ])("%s is refused with %s", (id, code) => {
    expect(codeOf(vector<{ request: TunnelProof }>(id).request)).toBe(code);
  });

  it("vana.seed.token-request.high-s-twin: viem takes it for the same signer's, so that nothing may be keyed on its bytes", async () => {
    const { request } = vector<{ request: TunnelProof }>("vana.seed.token-request.high-s-twin");
    const message = printTunnelMessage(request, productName);
    expect(await recoverMessageAddress({ message, signature: request.signature as Hex })).toBe(request.walletAddress);
  });

  it("vana.master-key-signature: a signature of another text by the same key is recovered, and is no proof of a tunnel", () => {
    const { message, messageUtf8Length, eip191Hash, privateKey, signature, signer } = vector<Signed>("vana.master-key-signature");
    expect(Buffer.byteLength(message)).toBe(messageUtf8Length);
    expect(Buffer.from(hashPersonalMessage(message))).toEqual(fromHex(eip191Hash));
    expect(signPersonalMessage(message, fromHex(privateKey))).toBe(signature);
    expect(recoverPersonalSigner(message, signature)).toEqual({ granted: true, value: Uint8Array.from(fromHex(signer)) });
    expect(codeOf({ walletAddress: signer, timestamp: 1707091200, signature })).toBe("SIGNER_MISMATCH");
  });
});

describe("interop.json, the public API's tokens", () => {
  it("vana.seed.tokenA.proposal: its MAC is what a key ring makes of its input", () => {
    const { secret, macInput, token } = vector<{ secret: string; macInput: string; token: string }>("vana.seed.tokenA.proposal");
    const ring = { keys: [{ id: "test", secret: Buffer.from(secret) }] } as const;
    expect(`${macInput}_${signWithRing(ring, macInput, "hex")}`).toBe(token);
  });

  it("vana.seed.tokenA.example-decoded: the example of the public API names no wallet, so that no identity has it", () => {
    const { base64, decoded } = vector<{ base64: string; decoded: string }>("vana.seed.tokenA.example-decoded");
    expect(Buffer.from(base64, "base64url").toString()).toBe(decoded);
    expect(parseIdentity(decoded)).toMatchObject({ granted: false, refusal: { code: "WALLET_FORMAT", facts: { digits: 13 } } });
  });
});

type StellarKey = { seedHex: string; publicHex: string; address: string; secret: string };

describe("interop.json, Stellar accounts", () => {
  it.each(["server", "client", "client2"])("hvym.keys, %s: seed, secret, public key and address are what we make of them", (name) => {
    const key = vector<Record<string, StellarKey>>("hvym.keys")[name]!;
    const seed = createHash("sha256").update(`hvym interop test seed: ${name}`).digest();
    expect(seed).toEqual(fromHex(key.seedHex));
    expect(decodeStellarSecret(key.secret)).toEqual(Uint8Array.from(seed));
    expect(encodeStellarSecret(seed)).toBe(key.secret);
    expect(Buffer.from(publicKeyOfSeed(seed))).toEqual(fromHex(key.publicHex));
    expect(printIdentity({ namespace: "stellar", publicKey: fromHex(key.publicHex) })).toBe(key.address);
    expect(Keypair.fromSecret(key.secret).publicKey()).toBe(key.address);
  });

  const { cases } = vector<{ cases: readonly { address: string; label?: string; backToAddress?: string; valid: boolean; why?: string }[] }>(
    "hvym.strkey",
  );

  it.each(cases.filter(({ valid }) => valid))("hvym.strkey: $address has its label, and the label its address", (one) => {
    const identity = parseIdentity(one.address);
    if (!identity.granted) throw new Error(identity.refusal.code);
    expect(deriveLabel(identity.value)).toBe(one.label);
    expect(printIdentity(identityOfLabel(parseLabel(one.label)!))).toBe(one.backToAddress);
  });

  it.each(cases.filter(({ valid }) => !valid))("hvym.strkey: no identity is read from $why", ({ address, why }) => {
    expect(StrKey.isValidEd25519PublicKey(address)).toBe(false);
    expect(parseIdentity(address)).toMatchObject({
      granted: false,
      refusal: { code: why === "bad checksum" ? "WALLET_CHECKSUM" : "WALLET_FORMAT", facts: {} },
    });
  });
});

/** Messages between others: nothing here reads them, and each is what it says it is. */
describe("interop.json, what passes through", () => {
  it("vana.key.json: the address is that of its key", () => {
    const { json } = vector<{ json: { address: Hex; publicKey: Hex; privateKey: Hex } }>("vana.key.json");
    expect(privateKeyToAccount(json.privateKey)).toMatchObject({ address: json.address, publicKey: json.publicKey });
    expect(printIdentity({ namespace: "eip155", address: addressOfPrivateKey(fromHex(json.privateKey)) })).toBe(json.address);
  });

  it("vana.gateway.server-registration: its typed data has its hash, and its owner signed it", async () => {
    const registration = vector<{
      domain: TypedDataDomain;
      types: Record<string, readonly { name: string; type: string }[]>;
      primaryType: string;
      message: Record<string, unknown>;
      hash: Hex;
      signature: Hex;
    }>("vana.gateway.server-registration");
    expect(hashTypedData(registration)).toBe(registration.hash);
    expect(await recoverTypedDataAddress(registration)).toBe(registration.message["ownerAddress"]);
  });

  it("hvym.shared-key: the keys of both sides agree on the raw secret, on its hash, and on the key of the tunnel", async () => {
    await sodium.ready;
    const v = vector<Record<string, string>>("hvym.shared-key");
    const keys = vector<Record<string, StellarKey>>("hvym.keys");
    for (const side of ["server", "client"]) {
      const { publicKey, privateKey } = sodium.crypto_sign_seed_keypair(fromHex(keys[side]!.seedHex));
      expect(sodium.to_hex(sodium.crypto_sign_ed25519_sk_to_curve25519(privateKey))).toBe(v[`${side}X25519Private`]);
      expect(sodium.to_hex(sodium.crypto_sign_ed25519_pk_to_curve25519(publicKey))).toBe(v[`${side}X25519Public`]);
    }
    const x25519 = (hex: string | undefined): { kty: string; crv: string; d: string } => ({
      kty: "OKP",
      crv: "X25519",
      d: fromHex(hex!).toString("base64url"),
    });
    const publicOf = (hex: string | undefined): string => fromHex(hex!).toString("base64url");
    const agree = (own: string, other: string): string =>
      diffieHellman({
        privateKey: createPrivateKey({ key: { ...x25519(v[`${own}X25519Private`]), x: publicOf(v[`${own}X25519Public`]) }, format: "jwk" }),
        publicKey: createPublicKey({ key: { kty: "OKP", crv: "X25519", x: publicOf(v[`${other}X25519Public`]) }, format: "jwk" }),
      }).toString("hex");
    expect([agree("server", "client"), agree("client", "server")]).toEqual([v["x25519Raw"], v["x25519Raw"]]);
    const shared = sodium.crypto_box_beforenm(fromHex(v["serverX25519Public"]!), fromHex(v["clientX25519Private"]!));
    expect([sodium.to_hex(shared), v["seedDeriveSharedKey"]]).toEqual([v["beforenm"], v["beforenm"]]);
    const tunnelKey = createHash("sha256").update(v["domain"]!).update(shared).digest();
    expect(tunnelKey.toString("hex")).toBe(v["tunnelKey"]);
    expect(tunnelKey.subarray(0, 4).toString("base64")).toBe(v["keyId"]);
  });

  it("hvym.secretbox: the frame opens with the tunnel key, and is made of it again", async () => {
    await sodium.ready;
    const { key, nonceHex, plaintext, payload, frame } = vector<{
      key: string;
      nonceHex: string;
      plaintext: string;
      payload: string;
      frame: { payload: string };
    }>("hvym.secretbox");
    expect(key).toBe(vector<{ tunnelKey: string }>("hvym.shared-key").tunnelKey);
    expect(frame.payload).toBe(payload);
    const [nonce, box] = [Buffer.from(payload, "base64").subarray(0, 24), Buffer.from(payload, "base64").subarray(24)];
    expect(nonce.toString("hex")).toBe(nonceHex);
    expect(Buffer.from(sodium.crypto_secretbox_open_easy(box, nonce, fromHex(key))).toString()).toBe(plaintext);
    expect(Buffer.from(sodium.crypto_secretbox_easy(plaintext, nonce, fromHex(key)))).toEqual(box);
  });
});
