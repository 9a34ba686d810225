/** Reads the published test vectors (`test/vectors`) for the tests beside the code. */
import { readFileSync } from "node:fs";

const folder = new URL("../../../test/vectors/", import.meta.url);

/** One test of Wycheproof; `acceptable` is for readers of a format that may be lenient. */
export type WycheproofTest = { readonly tcId: number; readonly comment: string; readonly result: "valid" | "invalid" | "acceptable" };

/** A file of Wycheproof: groups of tests, each with the key that they share. */
export type Wycheproof<Group, Test> = {
  readonly numberOfTests: number;
  readonly testGroups: readonly (Group & { readonly tests: readonly (WycheproofTest & Test)[] })[];
};

/** The text of a file below `test/vectors`. */
export const readVectorText = (path: string): string => readFileSync(new URL(path, folder), "utf8");

/** A JSON file below `test/vectors`, of the shape that the test says it has. */
export const readVectors = <Shape>(path: string): Shape => JSON.parse(readVectorText(path)) as Shape;

/** The bytes of hexadecimal digits. */
export const fromHex = (digits: string): Buffer => Buffer.from(digits.replace(/^0x/, ""), "hex");
