/** The table of faults in FAULTS.md: each names its tests or its command, and they are there. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./support/source-text.ts";

type Row = { readonly number: number; readonly cells: readonly string[] };

/** Rows of the tables in a part of the document whose first cell begins with a number. */
function readRows(text: string): readonly Row[] {
  return text.split("\n").flatMap((line) => {
    const cells = line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim());
    const number = /^F(\d+)\b/.exec(cells[0] ?? "")?.[1];
    return number === undefined ? [] : [{ number: Number(number), cells }];
  });
}

/** `path.ts` "title" "title": what a cell says where it is tested. */
function readProofs(cell: string): readonly { readonly path: string; readonly titles: readonly string[] }[] {
  return [...cell.matchAll(/`([\w./-]+\.ts)`((?: "[^"]+")*)/g)].map(([, path = "", titles = ""]) => ({
    path,
    titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => title),
  }));
}

const find = (path: string): string | undefined => [path, join("test", path)].map((one) => join(root, one)).find(existsSync);
const [tried = "", untried = ""] = readFileSync(join(root, "test/FAULTS.md"), "utf8").split("## Not tried here");
const rows = readRows(tried);

test("every fault of the threat model is tried, or it is said why not", () => {
  const numbers = new Set([...rows, ...readRows(untried)].map(({ number }) => number));
  expect([...numbers].sort((one, other) => one - other)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  expect(readRows(untried).filter(({ number }) => rows.some((row) => row.number === number))).toEqual([]);
});

test("every row says by what means, what is expected, what was seen, and where it is tried", () => {
  expect(rows.filter(({ cells }) => cells.length !== 5 || cells.includes("")).map(({ cells }) => cells[0])).toEqual([]);
});

test("every test that a row names is there, word for word, and every command", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const missing = rows.flatMap(({ cells: [fault = "", , , , where = ""] }) => [
    ...readProofs(where).flatMap(({ path, titles }) => {
      const file = find(path);
      if (file === undefined) return [`${fault}: ${path}`];
      const source = readFileSync(file, "utf8");
      return titles.filter((title) => !source.includes(title)).map((title) => `${fault}: ${path}: ${title}`);
    }),
    ...[...where.matchAll(/npm run ([\w-]+)/g)]
      .filter(([, name = ""]) => scripts[name] === undefined)
      .map(([command]) => `${fault}: ${command}`),
  ]);
  expect(missing).toEqual([]);
});

test("no row goes without a test or a command", () => {
  const bare = rows.filter(({ cells }) => !/`[\w./-]+\.ts`|`npm run |by hand|the same two/.test(cells[4] ?? ""));
  expect(bare.map(({ cells }) => cells[0])).toEqual([]);
});
