/** EIP-191: our check of a proof against viem's, which is what everybody would take. Same proofs, rounds in turn. */
import { printTunnelMessage, verifyProof } from "@keyhole/core";
import { verifyMessage } from "viem";
import { makeWallet } from "../support/wallet.ts";
import { type Measured, printCount, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

const productName = "Vana Personal Server";
const goalRatio = 20;

/** Measures both for `seconds` each. */
export async function measureProofs(stage: Stage, options: { readonly rounds: number; readonly seconds: number }): Promise<Measured> {
  const proofs = Array.from({ length: 64 }, () => makeWallet().prove(Math.floor(Date.now() / 1000)));
  const check = {
    keyhole: (proof: (typeof proofs)[number]) => verifyProof(proof, { productName }).granted,
    viem: (proof: (typeof proofs)[number]) =>
      verifyMessage({
        address: proof.walletAddress as `0x${string}`,
        message: printTunnelMessage(proof, productName),
        signature: proof.signature as `0x${string}`,
      }),
  };
  const rates: Record<keyof typeof check, number[]> = { keyhole: [], viem: [] };
  for (let round = 0; round < options.rounds; round += 1) {
    for (const name of ["keyhole", "viem"] as const) {
      stage.signal.throwIfAborted();
      const startedAt = performance.now();
      const endsAt = startedAt + (options.seconds / options.rounds) * 1000;
      let count = 0;
      while (performance.now() < endsAt) {
        for (const proof of proofs.slice(0, 8)) {
          const isGood = check[name](proof);
          if (!(typeof isGood === "boolean" ? isGood : await isGood)) throw new Error(`${name} refuses a good proof`);
        }
        count += 8;
      }
      rates[name].push(count / ((performance.now() - startedAt) / 1000));
    }
  }
  const ours = median(rates.keyhole);
  const viem = median(rates.viem);
  const ratio = ours / viem;
  return {
    key: "proofs",
    figures: { unit: "checks/s", keyhole: ours, viem, ratioToViem: ratio },
    table: {
      title: "EIP-191 proof checked, checks/s of one thread",
      columns: ["", "checks/s", "µs each", "to viem"],
      rows: [
        ["keyhole", printCount(ours), (1e6 / ours).toFixed(0), printRatio(ratio)],
        ["viem", printCount(viem), (1e6 / viem).toFixed(0), printRatio(1)],
      ],
    },
    goals: [{ name: "EIP-191 against viem", goal: `≥ ${goalRatio}x`, found: printRatio(ratio), isMet: ratio >= goalRatio }],
  };
}
