/** The table of facts in README.md: each names its tests, and they are there. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

/** `file.test.ts` words of a title; more words; `other.test.ts` words */
function parseProofs(cell: string): { readonly file: string; readonly words: string }[] {
  let file = "";
  return cell.split("; ").map((part) => {
    const match = /^`([a-z-]+\.test\.ts)` (.+)$/.exec(part);
    file = match?.[1] ?? file;
    return { file, words: match?.[2] ?? part };
  });
}

it("every fact of the README names tests that are there, word for word", () => {
  const section = read("../README.md").split("## What it relies on")[1]?.split("## Failure modes")[0] ?? "";
  const rows = section.split("\n").flatMap((line) => {
    const [, fact = "", cell = ""] = /^\| (.+?) +\| (.*?) *\|$/.exec(line) ?? [];
    return fact === "" || fact === "fact" || /^-+$/.test(fact) || /^\*\*.*\*\*$/.test(fact) ? [] : [{ fact, cell }];
  });
  expect(rows.length).toBeGreaterThan(60);
  const missing = rows.flatMap(({ fact, cell }) =>
    parseProofs(cell)
      .filter(({ file, words }) => file === "" || !read(file).replaceAll('\\"', '"').includes(words))
      .map(({ file, words }) => `${fact}: ${file} ${words}`),
  );
  expect(missing).toEqual([]);
});
