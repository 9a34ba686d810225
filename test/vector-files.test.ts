/** The test vectors as a test: every copy is whole, its source is told, and somebody reads it. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readAllSources, root } from "./support/source-text.ts";

const folder = join(root, "test/vectors");
const readme = readFileSync(join(folder, "README.md"), "utf8");

const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== "README.md")
  .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));

/** The rows of the README that tell a file's size and digest. */
const told = [...readme.matchAll(/^\| `([^`]+)` \| (\d+) \| `([0-9a-f]{64})` \|$/gm)].map(([, path, bytes, sha256]) => ({
  path,
  bytes: Number(bytes),
  sha256,
}));

test("every file of test vectors is as it was copied, and no other is there", () => {
  const found = files.map((path) => {
    const bytes = readFileSync(join(folder, path));
    return { path, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  });
  expect(found.sort((a, b) => a.path.localeCompare(b.path))).toEqual(told.sort((a, b) => `${a.path}`.localeCompare(`${b.path}`)));
});

test("the source and licence of every file of test vectors is told", () => {
  const sources = [...readme.matchAll(/^\| `([^`]+?)\/?` \| [^|]+ \| [^|]+ \|$/gm)].map(([, name]) => name);
  expect(files.filter((path) => !sources.includes(path.split("/")[0]))).toEqual([]);
});

/** The tests, and what only tests may import (knip finds one that no test imports). */
const tests = readAllSources().filter(({ path }) => /\.test\.ts$|-for-tests\.ts$|(^|\/)test\/support\//.test(path));

/** True when a test has the whole name, or a template of it and, as texts of their own, what fills the template's gaps. */
function isNamed(name: string): boolean {
  return tests.some(({ bare }) => {
    if (bare.includes(name)) return true;
    return [...bare.matchAll(/`([^`\n]*\$\{[^`\n]*)`/g)].some(([, template = ""]) => {
      const parts = template.replace(/^.*vectors\//, "").split(/\$\{[^}]*\}/);
      const gaps = new RegExp(`^${parts.map((part) => part.replace(/[.*+?^$(){}|[\]\\]/g, "\\$&")).join("(.+)")}$`).exec(name);
      return gaps?.slice(1).every((gap) => bare.includes(`"${gap}"`)) ?? false;
    });
  });
}

test.each(files)("a test reads the vectors of %s", (file) => {
  expect(isNamed(file)).toBe(true);
});

const interop = JSON.parse(readFileSync(join(folder, "interop.json"), "utf8")) as { vectors: readonly { id: string }[] };

test.each(interop.vectors)("a test names $id of interop.json", ({ id }) => {
  expect(isNamed(id)).toBe(true);
});
