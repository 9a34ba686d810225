/**
 * The documents as a test: what the README promises is tested, what it lists is what the code has, and every "no" is said
 * by at least one test (DESIGN.md §2, 13).
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { refusalCodes } from "@keyhole/core";
import { expect, test } from "vitest";
import { placeTable, readTable, renderTables } from "../scripts/write-tables.ts";
import { listFiles, readAllSources, root } from "./support/source-text.ts";

const tests = readAllSources().filter(({ path }) => path.endsWith(".test.ts"));
const readDocument = (path: string): string => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : "");

type Invariant = { readonly number: number; readonly isLater: boolean };

/** The list under `## Invariants`: `1. **…** …`, marked `(later)` when no part of it is built yet. */
function readInvariants(document: string): readonly Invariant[] {
  const section = /^## Invariants$([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(document)?.[1] ?? "";
  const items = section.split(/^(?=\d+\. )/m).filter((item) => /^\d+\. \*\*/.test(item));
  return items.map((item) => ({ number: Number.parseInt(item, 10), isLater: item.includes("(later)") }));
}

/** The numbers that begin a test's title: `4: …` or `4, 9: …`, also in the rows of a table of cases. */
function readTitleNumbers(source: string): readonly number[] {
  const titles = source.matchAll(/(?:[([]|\b(?:name|title|guarantee):)\s*["'`](\d{1,2}(?:(?:, | and )\d{1,2})*): /g);
  return [...titles].flatMap((match) => (match[1] ?? "").split(/, | and /).map(Number));
}

test("the README lists the invariants, numbered from 1 without gaps", () => {
  const numbers = readInvariants(readDocument("README.md")).map(({ number }) => number);
  expect(numbers.length, 'README.md needs a heading "## Invariants" with lines like "1. **…**"').toBeGreaterThan(0);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
});

test("every invariant of the README has a test whose title begins with its number, and every such number is in the README", () => {
  const invariants = readInvariants(readDocument("README.md"));
  const tested = new Set(tests.flatMap(({ bare }) => readTitleNumbers(bare)));
  const untested = invariants.filter(({ number, isLater }) => !isLater && !tested.has(number)).map(({ number }) => number);
  const unlisted = [...tested].filter((number) => !invariants.some((invariant) => invariant.number === number)).sort((a, b) => a - b);
  expect({ untested, unlisted }).toEqual({ untested: [], unlisted: [] });
});

test.each(renderTables())("13: the table $name of $file is what the code says", ({ file, name, markdown }) => {
  expect(readTable(readDocument(file), name), `${file}: run npm run tables`).toBe(markdown);
});

test("13: every refusal is said by at least one test", () => {
  const said = tests.map(({ bare }) => bare).join("\n");
  expect(refusalCodes.filter((code) => !new RegExp(`\\b${code}\\b`).test(said))).toEqual([]);
});

const foldersWithReadme = [
  "frp",
  ...listFiles("services", ["package.json"]).map((path) => path.replace("/package.json", "")),
  "scripts",
  "test",
];

test.each(foldersWithReadme)("the README of %s says what it is, what not, on what it relies, how it fails, and why", (folder) => {
  const document = readDocument(`${folder}/README.md`).toLowerCase();
  const chapters = ["what it is", "what it is not", "what it relies on", "failure modes", "decisions"];
  expect(chapters.filter((chapter) => !new RegExp(`(?:^#+ |\\*\\*)${chapter}\\b`, "m").test(document))).toEqual([]);
});

test("every command of package.json runs a file that is there", () => {
  const { scripts } = JSON.parse(readDocument("package.json")) as { scripts: Record<string, string> };
  const named = Object.values(scripts).flatMap((command) => command.match(/\b(?:scripts|services|frp|test)\/[\w./-]+/g) ?? []);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("every link of a README to a file of the project leads somewhere", () => {
  const dead = listFiles(".", ["README.md"]).flatMap((path) => {
    const links = readDocument(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g);
    return [...links].filter((link) => !existsSync(join(root, path, "..", link[1] ?? ""))).map((link) => `${path}: ${link[1]}`);
  });
  expect(dead).toEqual([]);
});

test("no document holds two versions of itself that a merge left beside each other", () => {
  const torn = listFiles(".", [".md"]).filter((path) => /^\W*(?:<{7}|>{7}|(?:> ){7}|\|{7}|={7})/m.test(readDocument(path)));
  expect(torn).toEqual([]);
});

test("the root README stays short enough to be read", () => {
  // Generated tables are looked up, not read.
  const prose = readDocument("README.md").replace(/<!-- table:[\s\S]*?<!-- \/table -->/g, "");
  expect(prose.split("\n").length).toBeLessThan(300);
});

test("13: a table that is put between its marks is read back as it was, and a document without marks is refused", () => {
  const [first] = renderTables();
  if (first === undefined) throw new Error("there are generated tables");
  const document = `# x\n\n<!-- table:${first.name} -->\nold\n<!-- /table -->\n\n<!-- table:other -->\n\n<!-- /table -->\n`;
  const placed = placeTable(document, first);
  expect(readTable(placed, first.name)).toBe(first.markdown);
  expect(readTable(placed, "other")).toBe("");
  expect(placeTable(placed, first)).toBe(placed);
  expect(() => placeTable("# x\n", first)).toThrow(/Put both marks/);
});

test("the readers of this file see numbers and marks as people write them", () => {
  const document =
    "# x\n\n1. **no**\n\n## Invariants\n\nProse.\n\n1. **One.** Text\n   that goes on.\n2. **Two.** (later)\n\n## Next\n\n3. **no**\n";
  expect(readInvariants(document)).toEqual([
    { number: 1, isLater: false },
    { number: 2, isLater: true },
  ]);
  expect(readTitleNumbers('test("4, 9: a") ["12: b", 1] { name: "7: c" } expect(x).toBe("GET: 5: d") test("1 and 2: e")')).toEqual([
    4, 9, 12, 7, 1, 2,
  ]);
});
