/**
 * Orders tokens at a store as fast as it can, durable or not: one store each, in a thread of its own. Its data are the folder
 * of the files. Every order is of another wallet, with another proof; with `isProved` a wallet's signature is checked before it,
 * as the token service does.
 */
import { generateKeyPairSync, sign } from "node:crypto";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { type Label, parseLabel, verifyProof } from "@keyhole/core";
import { openTokenStore } from "@keyhole/store";
import { makeWallet } from "../support/wallet.ts";

/** What is asked for: so many orders, of so many callers who each wait for their answer. */
export type DurabilityQuestion = {
  readonly durability: "durable" | "relaxed";
  readonly callers: number;
  readonly orders: number;
  readonly isProved: boolean;
};
/** How long it took. */
export type DurabilityAnswer = { readonly ms: number };

const say = (): void => {};
const log = { debug: say, info: say, warn: say, error: say };
const { privateKey } = generateKeyPairSync("ed25519");
// As in service: the end of the chain of events is signed at every commit.
const events = {
  signer: { keyId: "bench", sign: (text: Uint8Array) => sign(null, text, privateKey) },
  keepMs: 90 * 86_400_000,
  keepRows: 1_000_000,
};
const open = (durability: DurabilityQuestion["durability"]) =>
  openTokenStore({ path: join(workerData as string, `${durability}.db`), log, events, durability });
const stores = { durable: await open("durable"), relaxed: await open("relaxed") };
/** Checking one again costs what the first time did. */
const proofs = Array.from({ length: 64 }, () => makeWallet().prove(1_800_000_000));
let wallets = 0;

function nextLabel(): Label {
  wallets += 1;
  const label = parseLabel(`0x${wallets.toString(16).padStart(8, "0").repeat(5)}`);
  if (label === undefined) throw new Error("a made-up label is one");
  return label;
}

async function order({ durability, callers, orders, isProved }: DurabilityQuestion): Promise<DurabilityAnswer> {
  const store = stores[durability];
  let left = orders;
  const call = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const now = new Date();
      const label = nextLabel();
      const proof = proofs[left % proofs.length];
      if (isProved && (proof === undefined || !verifyProof(proof, { productName: "Vana Personal Server", purpose: "token" }).granted))
        throw new Error("a proof is none");
      const { outcome } = await store.orderToken({
        label,
        kind: "hmac",
        proofKey: `${Math.floor(now.getTime() / 1000)}:token:${label}`,
        provedAt: now,
        proofEndsAt: new Date(now.getTime() + 600_000),
        now,
        ttlSeconds: 86_400,
        keyId: "bench",
        isExclusive: false,
        repeat: undefined,
      });
      if (outcome !== "recorded") throw new Error(`an order came to ${outcome}`);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: callers }, call));
  return { ms: performance.now() - startedAt };
}

parentPort?.on("message", (question: DurabilityQuestion) => void order(question).then((answer) => parentPort?.postMessage(answer)));
parentPort?.postMessage("ready");
