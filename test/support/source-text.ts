/**
 * Source files as text, for the tests of the house: which there are, and what is code in them. TypeScript 7 has no
 * compiler API, so comments, strings and regular expressions are told apart here, by the rules of ECMA-262 §12 as far as
 * formatted code needs them. Masked characters become blanks, so every offset and line stays what it was.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** One file. `path` is relative to the checkout, with slashes. */
export type SourceFile = {
  readonly path: string;
  readonly text: string;
  /** Without comments. */
  readonly bare: string;
  /** Without comments and without what is inside strings, templates and regular expressions. */
  readonly code: string;
};

const ignored = new Set(["node_modules", ".git", ".cache", ".keyhole", "vectors"]);

/** Every path below a folder of the checkout whose name ends in one of `endings`, sorted. */
export function listFiles(folder: string, endings: readonly string[]): readonly string[] {
  const found = readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (ignored.has(entry.name)) return [];
    const path = folder === "." ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return listFiles(path, endings);
    return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : [];
  });
  return found.sort();
}

/** The source files below a folder. */
function readSources(folder: string): readonly SourceFile[] {
  return listFiles(folder, [".ts", ".mjs"]).map((path) => readSource(path, readFileSync(join(root, path), "utf8")));
}

/** Every source file of the project. */
export function readAllSources(): readonly SourceFile[] {
  return ["frp", "services", "scripts", "test"].flatMap((folder) => readSources(folder));
}

/** The line of an offset, from 1. */
export const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length;

/** Where a pattern occurs in a text: `path:line what`. */
export function findAll(file: SourceFile, text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(new RegExp(pattern, "g"))].map((match) => `${file.path}:${lineOf(text, match.index)} ${match[0].trim()}`);
}

const beforeRegExp = /(?:^|[([{,;=:!&|?+\-*%<>~^}]|=>|\b(?:return|typeof|case|in|of|new|delete|void|throw|await|yield|else|do))$/;

/** Tells code from comments, strings, templates and regular expressions. */
export function readSource(path: string, text: string): SourceFile {
  const bare = text.split("");
  const code = text.split("");
  const templates: number[] = []; // for each open `${`: how many braces are open inside it
  let index = 0;

  const blank = (target: string[], from: number, to: number): void => {
    for (let at = from; at < to; at += 1) if (target[at] !== "\n") target[at] = " ";
  };
  const endOf = (from: number, isEnd: (at: number) => boolean): number => {
    let at = from;
    while (at < text.length && !isEnd(at)) at += text[at] === "\\" ? 2 : 1;
    return Math.min(at, text.length);
  };
  const skipTemplate = (from: number): void => {
    const end = endOf(from, (at) => text[at] === "`" || text.startsWith("${", at));
    blank(code, from, end);
    if (text[end] === "$") templates.push(0);
    index = end + (text[end] === "$" ? 2 : 1);
  };

  while (index < text.length) {
    const character = text[index] ?? "";
    if (text.startsWith("//", index) || text.startsWith("/*", index) || (index === 0 && text.startsWith("#!"))) {
      const isBlock = text.startsWith("/*", index);
      const close = text.indexOf(isBlock ? "*/" : "\n", index + 2);
      const end = close === -1 ? text.length : close + (isBlock ? 2 : 0);
      blank(bare, index, end);
      blank(code, index, end);
      index = end;
    } else if (character === '"' || character === "'") {
      const end = endOf(index + 1, (at) => text[at] === character || text[at] === "\n");
      blank(code, index + 1, end);
      index = end + 1;
    } else if (character === "`") {
      skipTemplate(index + 1);
    } else if (
      character === "/" &&
      beforeRegExp.test(
        code
          .slice(Math.max(0, index - 80), index)
          .join("")
          .trimEnd(),
      )
    ) {
      let isClass = false;
      const end = endOf(index + 1, (at) => {
        if (text[at] === "[") isClass = true;
        if (text[at] === "]") isClass = false;
        return text[at] === "\n" || (text[at] === "/" && !isClass);
      });
      blank(code, index + 1, end);
      index = end + 1;
    } else if (character === "}" && templates.at(-1) === 0) {
      templates.pop();
      skipTemplate(index + 1);
    } else {
      const open = templates.length - 1;
      if (open >= 0 && character === "{") templates[open] = (templates[open] ?? 0) + 1;
      if (open >= 0 && character === "}") templates[open] = (templates[open] ?? 0) - 1;
      index += 1;
    }
  }
  return { path, text, bare: bare.join(""), code: code.join("") };
}

/** What a file imports, re-exports or loads: each specifier with its line. */
export function importsOf(file: SourceFile): readonly { readonly specifier: string; readonly line: number }[] {
  const forms = [/\bfrom\s*["']([^"'\n]+)["']/g, /\bimport\s*["']([^"'\n]+)["']/g, /\b(?:import|require)\s*\(\s*["']([^"'\n]+)["']/g];
  return forms.flatMap((form) =>
    [...file.bare.matchAll(form)]
      // The keyword itself must be code: a sentence in a string may say "from".
      .filter((match) => /[a-z]/.test(file.code[match.index] ?? ""))
      .map((match) => ({ specifier: match[1] ?? "", line: lineOf(file.bare, match.index) })),
  );
}

/** The headers of the blocks around an offset, innermost first: what stands before each open brace. */
export function enclosingBlocks(file: SourceFile, offset: number): readonly { readonly header: string; readonly body: string }[] {
  const opens: number[] = [];
  for (let at = 0; at < offset; at += 1) {
    if (file.code[at] === "{") opens.push(at);
    if (file.code[at] === "}") opens.pop();
  }
  return opens.reverse().map((open) => {
    const header = headerOf(file.code, open);
    let depth = 0;
    let end = open;
    for (; end < file.code.length; end += 1) {
      if (file.code[end] === "{") depth += 1;
      if (file.code[end] === "}") depth -= 1;
      if (depth === 0) break;
    }
    return { header, body: file.code.slice(open, end) };
  });
}

/** What stands before an open brace, back to the end of the statement or block before it. */
function headerOf(code: string, open: number): string {
  let depth = 0;
  let at = open - 1;
  for (; at >= 0; at -= 1) {
    const character = code[at] ?? "";
    if (depth === 0 && ";{}([".includes(character)) break;
    if (")]}".includes(character)) depth += 1;
    if ("([{".includes(character)) depth -= 1;
  }
  return code.slice(at + 1, open);
}
