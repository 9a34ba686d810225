/**
 * The house as a test: who may import whom (DESIGN.md §9), who may touch the world, how files and tests are made. A rule
 * that needs an exception has it here, by name and with its reason.
 */
import { existsSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { basename, dirname, join, posix } from "node:path";
import { expect, test } from "vitest";
import {
  enclosingBlocks,
  findAll,
  importsOf,
  lineOf,
  listFiles,
  readAllSources,
  readSource,
  root,
  type SourceFile,
} from "./support/source-text.ts";

type Rule = { readonly ours: readonly string[]; readonly outside: readonly string[] | "anything" };

/** The arrows. A package may use what stands beside it and nothing else; edge, token, plugin and supervisor never meet. */
const packages: Readonly<Record<string, Rule>> = {
  frp: { ours: [], outside: ["smol-toml"] },
  "services/core": { ours: [], outside: ["@bitauth/libauth", "hash-wasm", "libsodium-wrappers", "secp256k1", "sodium-native"] },
  "services/store": { ours: ["core"], outside: ["better-sqlite3"] },
  "services/token": { ours: ["core"], outside: ["@hono/node-server", "@hono/zod-openapi", "hono", "jose", "zod"] },
  "services/plugin": { ours: ["core", "frp"], outside: [] },
  "services/edge": { ours: ["core"], outside: ["undici", "ws"] },
  "services/supervisor": { ours: ["frp"], outside: [] },
  "services/agent": { ours: ["core", "frp"], outside: ["execa"] },
  "services/cli": { ours: ["agent", "core", "edge", "frp", "plugin", "store", "supervisor", "token"], outside: "anything" },
};

/** Who may start processes: `biome.json` names the same files. */
const spawners = [
  /^services\/supervisor\/src\/frps-process\.ts$/,
  /^services\/agent\/src\/frpc-process\.ts$/,
  /^frp\/src\/binary[a-z-]*\.ts$/,
  /^frp\/src\/frps-verify\.ts$/,
  /^frp\/src\/process-record\.ts$/, // ps: the only way to a process's start time where there is no /proc
];

/** Files outside `cli` that touch the world, each for a reason of its own. */
const worldly: Readonly<Record<string, readonly string[]>> = {
  "frp/src/obtain-binaries.ts": ["process.env"], // a program: set-up runs it before anything else is there
  "frp/src/binary-cache.ts": ["randomBytes"], // names of scratch folders; two set-ups may run at once
};

/** Paths that leave their package, each for a reason of its own. */
const crossings: Readonly<Record<string, string>> = {
  "services/cli/keyhole.mjs": "scripts/keyhole.mjs", // `npx keyhole`: the launcher brings the Node that everything else needs
};

/** Longer than a file may be, because it is one table. */
const longFiles = new Set(["services/core/src/refusals.ts"]);

const sources = readAllSources();
const folders = Object.keys(packages);
const folderOf = (path: string): string | undefined => folders.find((folder) => path.startsWith(`${folder}/`));
const isSrc = (path: string): boolean => folders.some((folder) => path.startsWith(`${folder}/src/`));
const isTest = (path: string): boolean => /\.test\.ts$|-for-tests\.ts$/.test(path) || /(?:^|\/)test\//.test(path);
const rootManifest = readManifest(".");
const outsideName = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

type Manifest = Readonly<Record<string, unknown>> & Readonly<Record<"dependencies" | "devDependencies", Readonly<Record<string, string>>>>;

function readManifest(folder: string): Manifest {
  const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as Record<string, unknown>;
  return { ...manifest, dependencies: manifest.dependencies ?? {}, devDependencies: manifest.devDependencies ?? {} } as Manifest;
}

test("every package of the workspace is in the table of arrows, and only those", () => {
  const manifests = listFiles(".", ["package.json"]).filter((path) => path !== "package.json" && !path.startsWith("."));
  expect(manifests.map((path) => dirname(path)).sort()).toEqual([...folders].sort());
});

test.each(folders)("the manifest of %s declares no arrow that the table does not have, and one entry", (folder) => {
  const manifest = readManifest(folder);
  const rule = packages[folder] as Rule;
  expect(manifest.name).toBe(`@keyhole/${basename(folder)}`);
  expect(manifest.exports).toBe("./src/index.ts");
  expect([manifest.private, manifest.type, "main" in manifest, "imports" in manifest]).toEqual([true, "module", false, false]);
  expect(existsSync(join(root, folder, "src/index.ts"))).toBe(true);
  const all = { ...manifest.dependencies, ...manifest.devDependencies };
  for (const [name, version] of Object.entries(all)) {
    const isOurs = name.startsWith("@keyhole/");
    expect([name, version]).toEqual([name, isOurs ? "workspace:*" : "catalog:"]);
    if (isOurs) expect(rule.ours, `${folder} must not depend on ${name}`).toContain(name.slice("@keyhole/".length));
  }
  if (rule.outside === "anything") return;
  for (const name of Object.keys(manifest.dependencies)) {
    if (!name.startsWith("@keyhole/")) expect(rule.outside, `${folder} must not use ${name} outside its tests`).toContain(name);
  }
});

test("every import keeps to the arrows and goes through a package's one entry", () => {
  expect(sources.flatMap((file) => importsOf(file).flatMap(({ specifier, line }) => judgeImport(file, specifier, line)))).toEqual([]);
});

function judgeImport(file: SourceFile, specifier: string, line: number): readonly string[] {
  const no = (why: string): readonly string[] => [`${file.path}:${line} imports ${specifier}: ${why}`];
  const home = folderOf(file.path);
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(file.path), specifier);
    const targetHome = folderOf(target);
    if (crossings[file.path] === target) return [];
    if (home !== undefined && targetHome !== home) return no("leaves its package by a path");
    if (home === undefined && targetHome !== undefined) return no(`use @keyhole/${basename(targetHome)}`);
    if (isSrc(file.path) && !isTest(file.path) && isTest(target)) return no("what is served must not need tests");
    return [];
  }
  if (specifier.startsWith("node:")) return [];
  if (builtinModules.includes(specifier)) return no("write node: before it");
  if (specifier.startsWith("@keyhole/")) {
    const [, name = "", ...deeper] = specifier.split("/");
    if (deeper.length > 0) return no("goes past the entry of the package");
    if (home === undefined) return [];
    const rule = packages[home] as Rule;
    return rule.ours.includes(name) && specifier in readManifest(home).dependencies
      ? []
      : no("is an arrow that the table or the manifest does not have");
  }
  const name = outsideName(specifier);
  const manifest = readManifest(home ?? ".");
  if (name in manifest.dependencies) return [];
  // A test runs from the root, with the root's tools.
  if ((home === undefined || isTest(file.path)) && (name in manifest.devDependencies || name in rootManifest.devDependencies)) return [];
  return no("is not declared in the manifest");
}

test("only cli touches clock, randomness, environment and console", () => {
  const patterns: Readonly<Record<string, RegExp>> = {
    "Date.now": /\bDate\.now\b/,
    "new Date()": /\bnew Date(?:\(\s*\)|(?![\w(]))/,
    "Math.random": /\bMath\.random\b/,
    "process.env": /\bprocess\.env\b|\bimport\.meta\.env\b/,
    console: /\bconsole\.\w+/,
    randomBytes:
      /\b(?:randomBytes|randomUUID|randomInt|randomFillSync|getRandomValues)\b(?=[^;]*\bfrom "node:crypto")|\bcrypto\.(?:random\w+|getRandomValues)\b/,
    performance: /\bperformance\.now\b|\bprocess\.hrtime\b/,
  };
  const checked = sources.filter(({ path }) => isSrc(path) && !isTest(path) && !path.startsWith("services/cli/"));
  const found = checked.flatMap((file) =>
    Object.entries(patterns).flatMap(([name, pattern]) => {
      // An import names its module in a string, so that one pattern reads the text that still has strings.
      const text = name === "randomBytes" ? file.bare : file.code;
      return worldly[file.path]?.includes(name) ? [] : findAll(file, text, pattern).map((place) => `${place} (${name})`);
    }),
  );
  expect(found).toEqual([]);
});

test("only the process files and the fetching of binaries start processes", () => {
  const found = sources
    .filter(
      ({ path }) => isSrc(path) && !isTest(path) && !path.startsWith("services/cli/") && !spawners.some((spawner) => spawner.test(path)),
    )
    .flatMap((file) => importsOf(file).map(({ specifier, line }) => ({ specifier, place: `${file.path}:${line}` })))
    .filter(({ specifier }) => /^(?:node:)?(?:child_process|cluster|worker_threads)$|^execa$/.test(specifier))
    .map(({ specifier, place }) => `${place} imports ${specifier}`);
  expect(found).toEqual([]);
});

test("every exception of this file is still needed", () => {
  const paths = sources.map(({ path }) => path);
  expect([...Object.keys(worldly), ...Object.keys(crossings), ...longFiles].filter((path) => !paths.includes(path))).toEqual([]);
});

test("tests are not skipped, not singled out, not retried, and mock no module", () => {
  const forbidden =
    /\bvi\.(?:mock|doMock|hoisted|stubGlobal)\b|\b(?:test|it|describe)(?:\.\w+)*\.(?:skip|only|todo|skipIf|runIf|fails)\b|\bx(?:it|test|describe)\(|\.toMatch(?:Inline|File)?Snapshot\(|\bretry:/;
  const found = sources.filter(({ path }) => isTest(path)).flatMap((file) => findAll(file, file.code, forbidden));
  expect(found).toEqual([]);
});

test("tests do not sleep: they wait for a fact, in a function that is named for it and asks again and again", () => {
  const checked = sources.filter(({ path }) => isTest(path) && !path.includes("/fixtures/") && !path.startsWith("test/load/"));
  expect(checked.flatMap(sleepsOf)).toEqual([]);
});

function sleepsOf(file: SourceFile): readonly string[] {
  const imported = [...file.bare.matchAll(/import\s*\{([^}]*)\}\s*from\s*["']node:timers\/promises["']/g)]
    .flatMap((match) => (match[1] ?? "").split(","))
    .flatMap(
      (name) =>
        /^\s*(?:setTimeout|scheduler)(?:\s+as\s+(\w+))?\s*$/
          .exec(name)
          ?.map((alias, at) => (at === 1 ? (alias ?? "setTimeout") : undefined)) ?? [],
    )
    .filter((name) => name !== undefined);
  const patterns = [
    ...imported.map((name) => new RegExp(`\\bawait\\s+${name}(?:\\.wait)?\\(`, "g")),
    /new Promise(?:<[^>]*>)?\(\s*\(?\s*(\w+)[^)=]*\)?\s*=>\s*\{?\s*setTimeout\(\s*\1\b/g,
    /\bAtomics\.wait\(/g,
  ];
  return patterns.flatMap((pattern) =>
    [...file.code.matchAll(pattern)]
      .filter((match) => !waitsForFact(file, match.index))
      .map((match) => `${file.path}:${lineOf(file.code, match.index)} ${match[0].trim().split("\n")[0]}`),
  );
}

/** Inside a function named `await…`, `waitFor…`, `until…`, `eventually…` or `observe…` that loops. */
function waitsForFact(file: SourceFile, offset: number): boolean {
  return enclosingBlocks(file, offset).some(
    ({ header, body }) =>
      /(?:function\s+|const\s+|^\s*(?:async\s+)?)(?:await[A-Z]|waitFor|until|eventually|observe)\w*/m.test(header) &&
      /\b(?:while|for)\s*\(/.test(body),
  );
}

test("every export of a package has a docstring", () => {
  expect(folders.flatMap((folder) => undocumented(`${folder}/src/index.ts`))).toEqual([]);
});

function undocumented(index: string): readonly string[] {
  const file = sources.find(({ path }) => path === index) as SourceFile;
  const missing: string[] = [];
  for (const match of file.bare.matchAll(/export\s+(?:type\s+)?\{([^}]*)\}\s*from\s*["']([^"']+)["']/g)) {
    const target = sources.find(({ path }) => path === posix.join(posix.dirname(index), match[2] ?? ""));
    for (const entry of (match[1] ?? "").split(",").filter((text) => text.trim() !== "")) {
      const name = /^\s*(?:type\s+)?(\w+)/.exec(entry)?.[1] ?? "";
      if (target === undefined || !hasDocstring(target, name)) missing.push(`${match[2]} ${name}`);
    }
  }
  return missing.map((what) => `${index}: ${what}`);
}

function hasDocstring(file: SourceFile, name: string): boolean {
  const declaration = new RegExp(
    `^export\\s+(?:declare\\s+)?(?:async\\s+)?(?:function\\*?|const|let|class|abstract class|type|interface)\\s+${name}\\b`,
    "m",
  );
  const at = declaration.exec(file.code)?.index;
  if (at === undefined) return false;
  const before = file.text.slice(0, at);
  // A blank line between makes it the heading of the file, not the docstring of what follows.
  return /\*\/[ \t]*\n$/.test(before) && before.slice(before.lastIndexOf("/*")).startsWith("/**");
}

test("index.ts stands at the root of a package, names what it exports, and nothing is exported by star", () => {
  const misplaced = sources
    .filter(({ path }) => basename(path) === "index.ts" && !folders.includes(dirname(dirname(path))))
    .map(({ path }) => path);
  const stars = sources.flatMap((file) => findAll(file, file.code, /\bexport\s*\*/));
  expect([...misplaced, ...stars]).toEqual([]);
});

test("files of src are named for what they are, begin with a heading, and are short", () => {
  const vague = /(?:^|-)(?:utils?|helpers?|commons?|types?|managers?|handlers?|misc)(?:-|$)/;
  const found: string[] = [];
  for (const { path, text } of sources.filter(({ path }) => isSrc(path))) {
    const name = basename(path).replace(/(?:\.property)?(?:\.(?:test|d))?\.(?:ts|mjs)$/, "");
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name) || vague.test(name)) found.push(`${path}: a name in kebab-case that says what it is`);
    if (!isTest(path) && !/^(?:#!.*\n)?\/(?:\*\*|\/ )/.test(text)) found.push(`${path}: no heading comment`);
    const lines = text.split("\n").length - 1;
    if (lines > 300 && !longFiles.has(path)) found.push(`${path}: ${lines} lines, more than 300`);
    else if (lines > 250 && !longFiles.has(path)) console.warn(`${path} has ${lines} lines: about 250 is the measure`);
  }
  expect(found).toEqual([]);
});

test("the reader of sources tells code from comments, strings, templates and regular expressions", () => {
  const file = readSource(
    "sample.ts",
    `const a = "from 'x'"; // import "c"
const b = \`t \${f({ d: "}" })} import("t")\`;
const r = /["'\`/]*[/]"/.test(b) /* Date.now */;
import x from "y"; // z`,
  );
  const blanks = (count: number): string => " ".repeat(count);
  expect(file.code.split("\n")).toEqual([
    `const a = "${blanks(8)}"; ${blanks(13)}`,
    `const b = \`${blanks(2)}\${f({ d: " " })}${blanks(12)}\`;`,
    `const r = /${blanks(11)}/.test(b) ${blanks(14)};`,
    `import x from " "; ${blanks(4)}`,
  ]);
  expect(importsOf(file)).toEqual([{ specifier: "y", line: 4 }]);
});

test("the rules of this file see what breaks them", () => {
  const sleepy = readSource(
    "services/edge/src/sample.test.ts",
    `import { setTimeout as pause } from "node:timers/promises";
await pause(5);
await new Promise((resolve) => setTimeout(resolve, 5));
async function waitForIt() {
  while (true) { await pause(5); }
}`,
  );
  expect(sleepsOf(sleepy).map((place) => place.split(" ")[0])).toEqual([`${sleepy.path}:2`, `${sleepy.path}:3`]);
  const crossing = readSource(
    "services/edge/src/sample.ts",
    `import { a } from "@keyhole/core/src/label.ts";
import { b } from "../../plugin/src/plugin.ts";
import { c } from "@keyhole/plugin";
import fs from "fs";
import d from "leftpad";
import { e } from "ws";
export { f } from "@keyhole/core";
import { g } from "../test/support.ts";
const h = await import("@keyhole/token");`,
  );
  const judged = importsOf(crossing).flatMap(({ specifier, line }) => judgeImport(crossing, specifier, line).map(() => line));
  expect(judged.sort()).toEqual([1, 2, 3, 4, 5, 6, 8, 9]);
});
