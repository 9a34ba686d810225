/**
 * Objects to TOML that frp reads as the same object. frp runs a config file through Go's text/template *before* it parses
 * it, so `{{` anywhere in the file, in a value or in a comment, is code. Here every `{` inside a string is written as the
 * TOML escape for it, which the template does not see and the parser undoes: no value can reach the templating.
 */
import { stringify } from "smol-toml";

/** What a config may hold. `undefined` is a key that is not written. */
export type TomlValue = string | number | boolean | readonly TomlValue[] | { readonly [key: string]: TomlValue | undefined };

/** A basic string as smol-toml writes every string and every quoted key: on one line, with JSON's escapes. */
const basicString = /"(?:[^"\\\n]|\\[^\n])*"/g;

/** Renders a table. parse(renderToml(x)) equals x. Throws a TypeError for what TOML cannot hold (half a surrogate pair). */
export function renderToml(table: { readonly [key: string]: TomlValue | undefined }): string {
  requireWellFormed(table);
  const text = stringify(table).replace(basicString, (string) => string.replaceAll("{", "\\u007b"));
  if (text.includes("{{")) throw new TypeError("this object cannot be rendered without `{{`");
  return text;
}

/** Renders a comment of one line. It is shown to a person and never parsed back; control characters become spaces. */
export function renderComment(text: string): string {
  const line = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .replace(/\{(?=\{)/g, "{ ");
  return line.trim() === "" ? "#" : `# ${line.trim()}`;
}

function requireWellFormed(value: TomlValue | undefined): void {
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new TypeError("a string with half a surrogate pair cannot be written as TOML");
  } else if (typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      requireWellFormed(key);
      requireWellFormed(item);
    }
  }
}
