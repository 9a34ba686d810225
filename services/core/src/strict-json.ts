/**
 * JSON without the freedoms of `JSON.parse`: a member that stands twice in an object is refused (RFC 8259 §4 leaves it
 * open which one counts, and two readers that choose differently are one attack), and so are bytes that are no UTF-8.
 */

/** What was read, or why it was not: no JSON, or the name of the member that came twice. */
export type StrictJson =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "not-json" }
  | { readonly kind: "duplicate"; readonly name: string };

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads bytes or a text. A byte order mark is not JSON. Never throws. */
export function parseStrictJson(source: string | Uint8Array): StrictJson {
  let text: string;
  let value: unknown;
  try {
    text = typeof source === "string" ? source : decoder.decode(source);
    value = JSON.parse(text);
  } catch {
    return { kind: "not-json" };
  }
  // Mostly it was printed as we would print it, and what we print from a value has every member once.
  if (JSON.stringify(value) === text) return { kind: "value", value };
  const name = findDuplicate(text);
  return name === undefined ? { kind: "value", value } : { kind: "duplicate", name };
}

/** Strings, and what opens, closes or separates. Everything else in valid JSON says nothing about names. */
const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],]/g;

/** The first member that an object of this valid JSON has twice, however its name is escaped. */
function findDuplicate(text: string): string | undefined {
  /** The names of each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let isName = false;
  for (const [token] of text.matchAll(tokens)) {
    const names = open.at(-1);
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    if (token === "{" || token === ",") isName = token === "{" || names !== undefined;
    else if (isName && names !== undefined && token.startsWith('"')) {
      isName = false;
      const name = JSON.parse(token) as string;
      if (names.has(name)) return name;
      names.add(name);
    } else isName = false;
  }
  return undefined;
}
