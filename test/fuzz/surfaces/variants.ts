/** How an input is drawn around a good one: as it is, altered before it was signed, altered afterwards, or made of two. */
import type { Prng } from "../../chaos/prng.ts";
import { mutateText, randomText } from "../mutate.ts";

/** A text to be read, and whether it has to be granted: nothing was done to it. */
export type TextInput = { readonly text: string; readonly isGood: boolean };

/** Draws a text. `mint` makes one with the right key; `isGood` false lets it say anything. */
export function drawText(prng: Prng, mint: (isGood: boolean) => string, others: readonly (() => string)[]): TextInput {
  const chance = prng.next();
  const bad = (text: string): TextInput => ({ text, isGood: false });
  if (chance < 0.05) return { text: mint(true), isGood: true };
  if (chance < 0.3) return bad(mint(false));
  if (chance < 0.75) return bad(mutateText(mint(true), prng));
  if (chance < 0.85) return bad(mutateText(mint(false), prng));
  if (chance < 0.93) return bad(splice(mint(true), mint(true), prng));
  return bad(chance < 0.97 && others.length > 0 ? prng.pick(others)() : randomText(prng));
}

/** One part of the second in the place of the same part of the first, or the head of one and the tail of the other. */
export function splice(first: string, second: string, prng: Prng): string {
  const mark = prng.pick([".", "_"]);
  const [one, other] = [first.split(mark), second.split(mark)];
  if (one.length > 1 && one.length === other.length && prng.chance(0.8)) {
    const index = prng.between(0, one.length - 1);
    return one.map((part, place) => (place === index ? other[place] : part)).join(mark);
  }
  const at = prng.between(0, first.length);
  return first.slice(0, at) + second.slice(at);
}

/** The same as `splice` for members of two objects. */
export function crossMembers<T extends Record<string, unknown>>(first: T, second: T, prng: Prng): T {
  return Object.fromEntries(Object.entries(first).map(([name, value]) => [name, prng.chance(0.3) ? second[name] : value])) as T;
}
