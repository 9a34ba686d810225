/** What a measurement hands back: figures for programs, a table for people, and the goals with what became of them. */

/** A table: the first column names the row, the others are aligned right. */
export type Table = {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly note?: string;
};

/** A number that shall be held. */
export type Goal = { readonly name: string; readonly goal: string; readonly found: string; readonly isMet: boolean };

/** One measurement. */
export type Measured = { readonly key: string; readonly figures: object; readonly table: Table; readonly goals: readonly Goal[] };

/** Prints milliseconds. */
export const printMs = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2));

/** Prints a ratio. */
export const printRatio = (ratio: number): string => `${ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)}x`;

/** Prints a rate or a size, with thin groups of three. */
export const printCount = (count: number): string =>
  Math.round(count)
    .toString()
    .replace(/\B(?=(?:[0-9]{3})+$)/g, " ");
