/**
 * What a fuzz run throws things at. A surface makes its inputs from a stream of chance and judges what became of each; an
 * input is bytes, so that one line of base64 is a whole reproduction.
 */
import type { Prng } from "../chaos/prng.ts";

/** What is wrong: something was thrown, an answer is none of the catalogue, an admission is wrong, or a good input was refused. */
export type ProblemKind = "crash" | "answer" | "admission" | "refusal" | "slow" | "silent";

/** One promise that an input broke. */
export type Problem = { readonly kind: ProblemKind; readonly what: string };

/** What became of an input: a refusal's code, `admitted`, or a word of the surface's own. */
export type Outcome = { readonly code: string; readonly problem?: Problem };

/** One door, parser or renderer. What `run` throws is a crash. */
export type Surface = {
  readonly name: string;
  /** Its part of all inputs, relative to the others'. */
  readonly share: number;
  /** How many inputs may be under way at once. */
  readonly lanes: number;
  /** Outcomes without which a longer run has said nothing. */
  readonly mustSee: readonly string[];
  make(prng: Prng): Uint8Array;
  run(input: Uint8Array): Outcome | Promise<Outcome>;
};

/** Something that is open while it is being fuzzed. */
export type OpenSurfaces = AsyncDisposable & { readonly surfaces: readonly Surface[] };

/** An outcome that breaks a promise. */
export const broken = (code: string, kind: ProblemKind, what: string): Outcome => ({ code, problem: { kind, what } });

/** `admitted`, unless the oracle says why it must not have been. */
export const judged = (code: string, why: string | undefined): Outcome => (why === undefined ? { code } : broken(code, "admission", why));

/** Inputs of parsers are JSON, so that half a surrogate pair is an input too. */
export const encodeInput = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

/** The input of a parser as it was made. A shrunk one may be no JSON any more, or something else: then it is its text. */
export function decodeInput(input: Uint8Array): unknown {
  const text = Buffer.from(input).toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
