#!/usr/bin/env node
/**
 * Copies the published test vectors to `test/vectors`, with a table of their sources and digests: `node
 * scripts/copy-vectors.mjs [FOLDER]`. The folder is `../shared/vectors` beside this checkout when none is given.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { readFlags, refuseUsage } from "./read-flags.mjs";

const root = fileURLToPath(new URL("../", import.meta.url));
const usage = `npm run vectors [-- FOLDER]
  copies the published test vectors from FOLDER (default: ../shared/vectors beside this checkout) to test/vectors`;

const { positionals } = readFlags("vectors", usage, {}, { allowPositionals: true });
if (positionals.length > 1) refuseUsage("vectors", "it takes one folder");
// npm changes to the project's folder; the path is meant from where it was typed.
const from = positionals[0] === undefined ? join(root, "../shared/vectors") : resolve(process.env.INIT_CWD ?? "", positionals[0]);
if (!existsSync(join(from, "README.md"))) refuseUsage("vectors", `there are no vectors in ${from}: it has no README.md`);
const to = join(root, "test/vectors");
/** Vectors of proofs that nothing here accepts yet. */
const notYet = new Set(["siwe"]);

const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
const folderOf = (path) => path.split("/")[0];

const files = readdirSync(from, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(from, join(entry.parentPath, entry.name)).split(sep).join("/"))
  .filter((path) => path !== "README.md" && !notYet.has(folderOf(path)))
  .sort()
  .map((path) => ({ path, bytes: readFileSync(join(from, path)) }));

/** The rows `| what | … | source, licence |` of the folder's own table. */
const sources = readFileSync(join(from, "README.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((row) => ({ row, name: /`([^`]+?)\/?`/.exec(row)[1] }))
  .filter(({ name }) => !notYet.has(name));

const untold = files.filter(({ path }) => !sources.some(({ name }) => name === folderOf(path)));
if (files.length === 0 || untold.length > 0) {
  process.stderr.write(
    `copy-vectors: ${from}/README.md must tell source and licence of: ${untold.map(({ path }) => path).join(", ") || "some file"}\n`,
  );
  process.exit(1);
}

const readme = `# Test vectors

Copies, made by \`scripts/copy-vectors.mjs\` and not edited here: what others published, and messages of real clients. Tests read them from
this folder; \`test/vector-files.test.ts\` says when one of them is not what was copied.

| folder or file | what | source, licence |
|---|---|---|
${sources.map(({ row }) => row).join("\n")}

| file | bytes | sha256 |
|---|--:|---|
${files.map(({ path, bytes }) => `| \`${path}\` | ${bytes.length} | \`${digest(bytes)}\` |`).join("\n")}
`;

rmSync(to, { recursive: true, force: true });
for (const { path, bytes } of [...files, { path: "README.md", bytes: readme }]) {
  mkdirSync(dirname(join(to, path)), { recursive: true });
  writeFileSync(join(to, path), bytes);
}
process.stdout.write(`${files.length} files copied to ${to}\n`);
