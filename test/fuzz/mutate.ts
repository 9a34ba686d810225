/**
 * How good inputs become bad ones: bit flips, cuts, insertions, look-alikes, other encodings, other types. Everything is
 * drawn from the stream that is passed in.
 */
import type { Prng } from "../chaos/prng.ts";

type Mutation = (text: string, prng: Prng) => string;

/** Characters that parsers have an opinion about. */
const odd = [
  ..."\0\t\n\r \"'\\/.:=_-+%#?@[]{}<>,;~!0xX",
  "\u0085",
  "\u00a0",
  "\u200b",
  "\u2028",
  "\ufeff",
  "\ud800",
  "\udfff",
  "😀",
  "{{",
  "}}",
  "..",
  "//",
  "%00",
  '"""',
  "'''",
  "\r\n",
];

/** What a person, or `toLowerCase`, takes for the character before it. */
const lookAlikes: Readonly<Record<string, readonly string[]>> = {
  a: ["а", "ａ"],
  c: ["с"],
  e: ["е"],
  f: ["ｆ"],
  g: ["ɡ"],
  i: ["İ", "ı"],
  k: ["\u212a"],
  l: ["ⅼ"],
  o: ["о", "0"],
  s: ["ſ"],
  x: ["х", "×"],
  "0": ["０", "٠", "O"],
  "1": ["１", "l"],
  ".": ["。", "．"],
  "-": ["−", "‐"],
  _: ["＿"],
};

const at = (text: string, prng: Prng): number => prng.between(0, Math.max(0, text.length - 1));
const span = (text: string, prng: Prng): [number, number] => {
  const from = at(text, prng);
  return [from, Math.min(text.length, from + (prng.chance(0.5) ? 1 : prng.between(1, 24)))];
};

const textMutations: readonly Mutation[] = [
  // one bit
  (text, prng) => {
    const index = at(text, prng);
    return text.slice(0, index) + String.fromCharCode((text.charCodeAt(index) || 0) ^ (1 << prng.between(0, 7))) + text.slice(index + 1);
  },
  // another letter or digit
  (text, prng) => {
    const index = at(text, prng);
    return text.slice(0, index) + prng.pick([..."abcdefghijklmnopqrstuvwxyzABCXYZ0123456789"]) + text.slice(index + 1);
  },
  // cut out
  (text, prng) => {
    const [from, to] = span(text, prng);
    return text.slice(0, from) + text.slice(to);
  },
  // cut off
  (text, prng) => (prng.chance(0.5) ? text.slice(0, at(text, prng)) : text.slice(at(text, prng))),
  // put in
  (text, prng) => {
    const index = prng.between(0, text.length);
    return text.slice(0, index) + prng.pick(odd).repeat(prng.chance(0.9) ? 1 : prng.between(2, 300)) + text.slice(index);
  },
  // before, behind
  (text, prng) => (prng.chance(0.5) ? prng.pick(odd) + text : text + prng.pick(odd)),
  // twice
  (text, prng) => {
    const [from, to] = span(text, prng);
    return text.slice(0, to) + text.slice(from);
  },
  (text, prng) => text + prng.pick(["", ".", ",", " ", "\n"]) + text,
  // two places exchanged
  (text, prng) => {
    const [one, other] = [at(text, prng), at(text, prng)].sort((first, second) => first - second) as [number, number];
    return text.slice(0, one) + (text[other] ?? "") + text.slice(one + 1, other) + (text[one] ?? "") + text.slice(other + 1);
  },
  // case
  (text) => text.toUpperCase(),
  (text) => text.toLowerCase(),
  (text, prng) => {
    const index = at(text, prng);
    const letter = text[index] ?? "";
    return text.slice(0, index) + (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()) + text.slice(index + 1);
  },
  // look-alikes
  (text, prng) => {
    const index = at(text, prng);
    return text.slice(0, index) + prng.pick(lookAlikes[(text[index] ?? "").toLowerCase()] ?? ["\u0430"]) + text.slice(index + 1);
  },
  (text, prng) => {
    const letter = prng.pick(["k", "s", "i", "0", "x", "."]);
    return text.replace(new RegExp(letter === "." ? "\\." : letter, "i"), prng.pick(lookAlikes[letter] ?? [""]));
  },
  // other spellings of base64
  (text, prng) => text + "=".repeat(prng.between(1, 3)),
  (text) => text.replaceAll("-", "+").replaceAll("_", "/"),
  (text) => text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
  (text, prng) => {
    // The last character of a part: bits that nobody reads.
    const parts = text.split(/([._])/);
    const index = prng.between(0, parts.length - 1);
    const part = parts[index] ?? "";
    parts[index] = part.slice(0, -1) + prng.pick([..."ABCDEFGHQRSTUVghwxyz0189-_"]);
    return parts.join("");
  },
  (text) => Buffer.from(text).toString("base64url"),
  (text) => Buffer.from(text, "base64url").toString("latin1"),
  (text) => encodeURIComponent(text.toWellFormed()),
  // parts in another order, or gone
  (text, prng) => {
    const mark = prng.pick([".", "_", ":", "/"]);
    return prng.shuffle(text.split(mark)).join(mark);
  },
  (text, prng) => {
    const mark = prng.pick([".", "_", ":", "/"]);
    const parts = text.split(mark);
    parts.splice(prng.between(0, parts.length - 1), 1, ...(prng.chance(0.5) ? [] : [""]));
    return parts.join(mark);
  },
  // digits
  (text, prng) =>
    text.replace(/[0-9]+/, (digits) => prng.pick([`0${digits}`, `+${digits}`, `-${digits}`, `${digits}.0`, `${digits}e0`, "9".repeat(13)])),
  (text, prng) =>
    text.replace(/[0-9]{6,}/, (digits) => String(Number(digits) + prng.pick([-90_000, -3601, -61, -1, 1, 2, 3, 61, 3601, 90_000]))),
];

/** The text, changed once to three times. */
export function mutateText(text: string, prng: Prng): string {
  let mutated = text;
  for (let left = prng.pick([1, 1, 1, 2, 3]); left > 0; left -= 1) mutated = prng.pick(textMutations)(mutated, prng);
  return mutated.length > 70_000 ? mutated.slice(0, 70_000) : mutated;
}

/** A text that was nothing good ever. */
export function randomText(prng: Prng): string {
  const length = prng.pick([0, 1, 2, 5, 20, 63, 64, 300]);
  const draw = prng.pick([
    () => String.fromCharCode(prng.between(0, 255)),
    () => String.fromCharCode(prng.between(0x20, 0x7e)),
    () => String.fromCharCode(prng.between(0, 0xffff)),
    () => prng.pick(odd),
    () => prng.pick([..."0123456789abcdefABCDEF"]),
  ]);
  return Array.from({ length }, draw).join("");
}

/** Arbitrary bytes. */
export const randomBytesOf = (prng: Prng, length: number): Buffer => Buffer.from(Array.from({ length }, () => prng.between(0, 255)));

/** The bytes, changed once to three times. */
export function mutateBytes(bytes: Uint8Array, prng: Prng): Uint8Array {
  let mutated = Buffer.from(bytes);
  for (let left = prng.pick([1, 1, 2, 3]); left > 0; left -= 1) {
    const index = prng.between(0, Math.max(0, mutated.length - 1));
    const end = Math.min(mutated.length, index + prng.between(1, 32));
    switch (prng.between(0, 4)) {
      case 0:
        if (mutated.length > 0) mutated[index] = (mutated[index] ?? 0) ^ (1 << prng.between(0, 7));
        break;
      case 1:
        mutated = Buffer.concat([mutated.subarray(0, index), mutated.subarray(end)]);
        break;
      case 2:
        mutated = Buffer.concat([mutated.subarray(0, index), randomBytesOf(prng, prng.between(1, 16)), mutated.subarray(index)]);
        break;
      case 3:
        mutated = Buffer.concat([mutated.subarray(0, end), mutated.subarray(index)]);
        break;
      default:
        mutated = mutated.subarray(0, index);
    }
  }
  return mutated;
}

/** Numbers that are none to somebody. */
const oddNumbers = [
  0,
  -0,
  -1,
  1.5,
  0.1,
  255,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 63,
  1e21,
  1e308,
  -1e308,
  5e-324,
  8.64e15,
  8.64e12 + 1,
];

/** A JSON value of any kind. */
export function oddValue(prng: Prng): unknown {
  return prng.pick<() => unknown>([
    () => prng.pick(oddNumbers),
    () => prng.pick([true, false, null]),
    () => randomText(prng),
    () => [],
    () => ({}),
    () => [prng.pick(oddNumbers)],
    () => ({ toString: "x", __proto__: null, constructor: { prototype: 1 } }),
    () => nest(prng.pick([3, 12, 2000])),
  ])();
}

function nest(depth: number): unknown {
  let value: unknown = 1;
  for (let left = depth; left > 0; left -= 1) value = left % 2 === 0 ? [value] : { a: value };
  return value;
}

/** The value with something in it of another type, gone, renamed, or said by somebody else. Never changes what it was given. */
export function mutateJson(value: unknown, prng: Prng): unknown {
  if (typeof value !== "object" || value === null) return mutateScalar(value, prng);
  if (Array.isArray(value)) {
    if (value.length === 0 || prng.chance(0.3))
      return prng.pick<() => unknown>([() => [...value, oddValue(prng)], () => value[0], () => [...value, ...value]])();
    const index = prng.between(0, value.length - 1);
    return value.map((item, place) => (place === index ? mutateJson(item, prng) : item));
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return prng.chance(0.5) ? oddValue(prng) : { [randomText(prng)]: oddValue(prng) };
  const index = prng.between(0, entries.length - 1);
  const [name, item] = entries[index] as [string, unknown];
  switch (prng.between(0, 8)) {
    case 0:
      entries.splice(index, 1);
      break;
    case 1:
      entries.push([prng.pick(["__proto__", "constructor", "toString", "crit", "b64", "x", randomText(prng)]), oddValue(prng)]);
      break;
    case 2:
      entries[index] = [mutateText(name, prng), item];
      break;
    case 3: {
      const other = prng.between(0, entries.length - 1);
      [entries[index], entries[other]] = [
        [name, entries[other]?.[1]],
        [entries[other]?.[0] ?? "", item],
      ];
      break;
    }
    case 4:
      entries[index] = [name, oddValue(prng)];
      break;
    default:
      entries[index] = [name, mutateJson(item, prng)];
  }
  return fromEntries(entries);
}

/** As `Object.fromEntries`, and `__proto__` is a member like any other. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const [name, value] of entries) Object.defineProperty(made, name, { value, enumerable: true, configurable: true, writable: true });
  return made;
}

function mutateScalar(value: unknown, prng: Prng): unknown {
  if (prng.chance(0.15)) return oddValue(prng);
  if (typeof value === "string") return prng.chance(0.1) ? [value] : mutateText(value, prng);
  if (typeof value === "number") {
    return prng.pick<() => unknown>([
      () => prng.pick(oddNumbers),
      () => value + prng.pick([-100_000, -3601, -3600, -601, -600, -61, -60, -1, 0.5, 1, 60, 61, 600, 601, 3600, 3601, 100_000]),
      () => -value,
      () => String(value),
      () => value * 1000,
    ])();
  }
  return oddValue(prng);
}

/** JSON as few print it: a member twice, escapes nobody needs, blanks, numbers in other clothes, or not quite JSON. */
export function printOddJson(value: unknown, prng: Prng): string {
  const text = JSON.stringify(value) ?? "null";
  switch (prng.between(0, 9)) {
    case 0: // a member twice
      return text.replace(/^\{("(?:[^"\\]|\\.)*"):((?:"(?:[^"\\]|\\.)*")|[^,{}[\]]+)/, (all, name: string, item: string) =>
        prng.pick([`${all},${name}:${item}`, `{${name}:1,${all.slice(1)}`, `${all},${escapeName(name)}:${item}`]),
      );
    case 1:
      return text.replace(/"([a-z])/i, (_, letter: string) => `"\\u00${letter.charCodeAt(0).toString(16)}`);
    case 2:
      return text.replaceAll(",", prng.pick([" ,", ",\n", ",\t ", ",\u00a0", ",,"]));
    case 3:
      return prng.pick(["\ufeff", " ", "\n", "\0", ")]}'\n"]) + text;
    case 4:
      return text + prng.pick([" ", "\n", "\0", "{}", ",", "x", text]);
    case 5:
      return text.replace(
        /:([0-9]+)/,
        (_, digits: string) => `:${prng.pick([`${digits}.0`, `${digits}e0`, `0${digits}`, `+${digits}`, `${digits}E+0`, `1e400`])}`,
      );
    case 6:
      return text.replace(/\}$/, prng.pick([",}", "", "}}", "]"]));
    case 7:
      return `[${text}]`;
    case 8:
      return mutateText(text, prng);
    default:
      return text;
  }
}

const escapeName = (name: string): string => name.replace(/[a-z]/i, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`);
