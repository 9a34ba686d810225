/**
 * Checks proofs in a thread of its own: with our code as it is, with our code where no native library can be loaded (the
 * import of one fails here, as it does on a machine that it has no binary for), or with the libraries that everybody would take.
 */
import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { SignatureBackends } from "@keyhole/core";

/** A proof, and the text that was signed for it. */
export type SignedProof = {
  readonly walletAddress: string;
  readonly timestamp: number;
  readonly signature: string;
  readonly text: string;
};

/** Who checks. */
export type Checker = "keyhole" | "keyhole without native code" | "viem and stellar-sdk";

/** What it is told. */
export type ProofOrder = {
  readonly checker: Checker;
  readonly productName: string;
  readonly proofs: Readonly<Record<Scheme, readonly SignedProof[]>>;
};

/** Of which namespace the proofs are: EIP-191, SEP-53. */
export type Scheme = "eip191" | "sep53";

/** What it tells when it is ready: which libraries our code uses. */
export type ProofTold = SignatureBackends | undefined;

/** Asks for checks for so long; answered by the checks per second of the thread's CPU time, which is nobody else's. */
export type ProofQuestion = { readonly scheme: Scheme; readonly seconds: number };

type Check = (proof: SignedProof) => boolean | Promise<boolean>;

const { checker, productName, proofs } = workerData as ProofOrder;

const nativeModules = ["secp256k1", "sodium-native"];

async function openKeyhole(): Promise<{ told: ProofTold; checks: Record<Scheme, Check> }> {
  if (checker === "keyhole without native code") {
    registerHooks({
      resolve(specifier, context, nextResolve) {
        if (nativeModules.some((name) => specifier === name || specifier.startsWith(`${name}/`)))
          throw new Error("no binary for this machine");
        return nextResolve(specifier, context);
      },
    });
  }
  const { signatureBackends, testSignatureChecks, verifyProof } = await import("@keyhole/core");
  testSignatureChecks();
  const check: Check = (proof) => verifyProof(proof, { productName }).granted;
  return { told: signatureBackends(), checks: { eip191: check, sep53: check } };
}

async function openLibraries(): Promise<{ told: ProofTold; checks: Record<Scheme, Check> }> {
  const [{ verifyMessage }, { Keypair }] = await Promise.all([import("viem"), import("@stellar/stellar-sdk")]);
  return {
    told: undefined,
    checks: {
      eip191: ({ walletAddress, text, signature }) =>
        verifyMessage({ address: walletAddress as `0x${string}`, message: text, signature: signature as `0x${string}` }),
      sep53: ({ walletAddress, text, signature }) =>
        Keypair.fromPublicKey(walletAddress).verifyMessage(text, Buffer.from(signature, "base64")),
    },
  };
}

const { told, checks } = await (checker === "viem and stellar-sdk" ? openLibraries() : openKeyhole());

async function countChecks({ scheme, seconds }: ProofQuestion): Promise<number> {
  const endsAt = performance.now() + seconds * 1000;
  const cpuBefore = process.threadCpuUsage();
  let count = 0;
  while (performance.now() < endsAt) {
    for (let index = 0; index < 8; index += 1) {
      const result = checks[scheme](proofs[scheme][count % proofs[scheme].length] as SignedProof);
      if (!(typeof result === "boolean" ? result : await result)) throw new Error(`${checker} refuses a good proof (${scheme})`);
      count += 1;
    }
  }
  const { user, system } = process.threadCpuUsage(cpuBefore);
  return count / ((user + system) / 1e6);
}

parentPort?.on("message", (question: ProofQuestion) => {
  void countChecks(question).then((perSecond) => parentPort?.postMessage(perSecond));
});
parentPort?.postMessage(told);
