/** The public corpus of bad inputs (`test/vectors/bad-inputs.json`): what can be sent to each surface, and what it expects. */
import { readFileSync } from "node:fs";

/** One bad input, in the corpus' words. The letter of its id names its surface. */
export type BadInput = { readonly id: string; readonly surface: string; readonly input: string; readonly expect: string };

const corpus = JSON.parse(readFileSync(new URL("../vectors/bad-inputs.json", import.meta.url), "utf8")) as readonly BadInput[];

/** The bad inputs of one surface, in the order of the corpus: a the token endpoint, b the hook, c port 7000, e the address. */
export const badInputsOf = (surface: "a" | "b" | "c" | "e"): readonly BadInput[] => corpus.filter(({ id }) => id.startsWith(surface));
