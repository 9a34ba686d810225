/**
 * In which keys two frps.toml differ, for a person who wants to know why frps was replaced. Keys only, never a value: among
 * the values are the passwords of the hook and the dashboard.
 */
import { parse } from "smol-toml";

/**
 * Names the differing keys with their tables, as `webServer.port` or `httpPlugins[0].addr`, in the order of the alphabet.
 * Empty when both texts mean the same; undefined when one of them is no TOML.
 */
export function diffFrpsConfigs(before: string, after: string): readonly string[] | undefined {
  try {
    return diff("", parse(before), parse(after));
  } catch {
    return undefined;
  }
}

function diff(path: string, before: unknown, after: unknown): readonly string[] {
  if (isTable(before) && isTable(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].sort().flatMap((key) => diff(join(path, key), ownValue(before, key), ownValue(after, key)));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((item, index) => diff(`${path}[${index}]`, item, after[index]));
  }
  if (isNested(before) || isNested(after)) return [path];
  return typeof before === typeof after && String(before) === String(after) ? [] : [path];
}

function join(path: string, key: string): string {
  const name = /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
  return path === "" ? name : `${path}.${name}`;
}

function ownValue(table: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return isNested(value) && !Array.isArray(value);
}

/** A table or an array; a TOML date is a value. */
function isNested(value: unknown): boolean {
  return typeof value === "object" && value !== null && !(value instanceof Date);
}
