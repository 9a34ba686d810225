/**
 * The check of a proof, EIP-191 and SEP-53: ours, ours without native code, and that of the libraries which everybody would
 * take. Same proofs, made by those libraries; everybody in turn.
 */
import { makeEvmHolder, makeStellarHolder, prove, secondsFromNow } from "../support/credentials.ts";
import { startLoadWorker } from "./load-worker.ts";
import { type Goal, type Measured, printCount, printRatio } from "./measured.ts";
import type { Checker, ProofOrder, ProofQuestion, ProofTold, Scheme, SignedProof } from "./proof-worker.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

const productName = "Vana Personal Server";
const differentProofs = 64;
const schemes = ["eip191", "sep53"] as const satisfies readonly Scheme[];
const nameOf = { eip191: "EIP-191", sep53: "SEP-53" };
const libraryOf = { eip191: "viem", sep53: "stellar-sdk" };
const goalRatio = { eip191: { keyhole: 20, fallback: 8 }, sep53: { keyhole: 20, fallback: undefined } };

/** Measures each for `seconds`. */
export async function measureProofs(stage: Stage, options: { readonly rounds: number; readonly seconds: number }): Promise<Measured> {
  const timestamp = secondsFromNow();
  const makeProof = async (holder: Parameters<typeof prove>[0]): Promise<SignedProof> => {
    const proof = await prove(holder, "token", timestamp);
    const order = `Wallet: ${proof.walletAddress}\nTimestamp: ${timestamp}`;
    return { ...proof, text: `Sign this message to authorize tunnel access for your ${productName}.\n\n${order}` };
  };
  const makeProofs = (make: () => Parameters<typeof prove>[0]): Promise<SignedProof[]> =>
    Promise.all(Array.from({ length: differentProofs }, () => makeProof(make())));
  const proofs = { eip191: await makeProofs(makeEvmHolder), sep53: await makeProofs(makeStellarHolder) };
  const start = (checker: Checker) => {
    const order: ProofOrder = { checker, productName, proofs };
    return startLoadWorker<ProofTold, ProofQuestion, number>(new URL("./proof-worker.ts", import.meta.url), order);
  };
  await using keyhole = await start("keyhole");
  await using fallback = await start("keyhole without native code");
  await using library = await start("viem and stellar-sdk");
  if (fallback.told?.secp256k1 !== "wasm" || fallback.told.ed25519 !== "wasm")
    throw new Error(`native code was loaded where it cannot be: ${JSON.stringify(fallback.told)}`);

  const checkers = { keyhole, fallback, library };
  type Name = keyof typeof checkers;
  const names = Object.keys(checkers) as Name[];
  const rounds = { eip191: { keyhole: [], fallback: [], library: [] }, sep53: { keyhole: [], fallback: [], library: [] } } as Record<
    Scheme,
    Record<Name, number[]>
  >;
  // The first round only warms up.
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const scheme of schemes) {
      for (const name of names) {
        const seconds = round === 0 ? 0.2 : options.seconds / options.rounds;
        const perSecond = await checkers[name].ask({ scheme, seconds }, stage.signal);
        if (round > 0) rounds[scheme][name].push(perSecond);
      }
    }
  }
  const figures = (scheme: Scheme) => {
    const rate = (name: Name): number => median(rounds[scheme][name]);
    const ratio = (name: Name): number => rate(name) / rate("library");
    return { rate, ratio };
  };
  const row = (scheme: Scheme, name: Name, title: string): string[] => {
    const { rate, ratio } = figures(scheme);
    return [`${nameOf[scheme]}: ${title}`, printCount(rate(name)), (1e6 / rate(name)).toFixed(0), printRatio(ratio(name))];
  };
  const goals = schemes.flatMap((scheme) =>
    (["keyhole", "fallback"] as const).flatMap((name): Goal[] => {
      const wanted = goalRatio[scheme][name];
      if (wanted === undefined) return [];
      const ratio = figures(scheme).ratio(name);
      const title = `${nameOf[scheme]} against ${libraryOf[scheme]}${name === "fallback" ? ", without native code" : ""}`;
      return [{ name: title, goal: `≥ ${wanted}x`, found: printRatio(ratio), isMet: ratio >= wanted }];
    }),
  );
  const told = keyhole.told;
  return {
    key: "proofs",
    figures: {
      unit: "checks per second of CPU",
      backends: { keyhole: told, fallback: fallback.told },
      ...Object.fromEntries(
        schemes.map((scheme) => {
          const { rate, ratio } = figures(scheme);
          const rates = Object.fromEntries(names.map((name) => [name, rate(name)]));
          return [scheme, { ...rates, ratioToLibrary: ratio("keyhole"), fallbackRatioToLibrary: ratio("fallback") }];
        }),
      ),
    },
    table: {
      title: "Proof checked, one thread, by its CPU time",
      columns: ["", "checks/s", "µs each", "to the library"],
      rows: schemes.flatMap((scheme) => [
        row(scheme, "keyhole", `keyhole (${scheme === "eip191" ? told?.secp256k1 : told?.ed25519})`),
        row(scheme, "fallback", "keyhole without native code (wasm)"),
        row(scheme, "library", libraryOf[scheme]),
      ]),
    },
    goals,
  };
}
