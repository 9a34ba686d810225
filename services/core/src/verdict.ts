/**
 * A decision is a value. `Verdict` is what every `parse…`, `verify…` and `decide…` of this package returns: granted with
 * a value, or refused with a code of the catalogue. What broke on our side is a `Fault`, and is thrown.
 */
import type { RefusalCode } from "./refusals.ts";

/** Facts about a refusal that its answer may show: never the input itself, never a secret, never whose label it is. */
export type RefusalFacts = Readonly<Record<string, string | number>>;

/** One "no": a code of the catalogue and the public facts that make it useful (a field's name, a limit, a time). */
export type Refusal = { readonly code: RefusalCode; readonly facts: RefusalFacts };

/** Granted with a value, or refused with the reason. */
export type Verdict<T> = { readonly granted: true; readonly value: T } | { readonly granted: false; readonly refusal: Refusal };

/** Says yes, with the value that was asked for. */
export const grant = <T>(value: T): Verdict<T> => ({ granted: true, value });

/** Says no. The result fits every `Verdict`. */
export const refuse = (code: RefusalCode, facts: RefusalFacts = {}): { readonly granted: false; readonly refusal: Refusal } => ({
  granted: false,
  refusal: { code, facts },
});
