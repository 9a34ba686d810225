/**
 * Finds the credential in what somebody hands in: the bare text of one, the JSON that the public API answered, the metadatas of
 * a Login as JSON, or a whole frpc.toml. Nothing of it is believed, and nothing of it is printed.
 */
import { parse } from "smol-toml";

/** A credential by where it would stand in a Login. */
export type FoundCredential =
  | { readonly kind: "hmac" | "jwt" | "stellar-jwt"; readonly text: string }
  | { readonly kind: "claim"; readonly metas: Readonly<Record<string, string>> };

/** More than any credential, or any frpc.toml of ours, has. */
export const longestInput = 65_536;

/** Undefined when there is none. Never throws. */
export function findCredential(input: string): FoundCredential | undefined {
  const text = input.trim();
  if (text === "" || text.length > longestInput) return undefined;
  return readBare(text) ?? readTable(parseTable(text));
}

function readBare(text: string): FoundCredential | undefined {
  if (/[\s{["]/.test(text)) return undefined;
  if (text.startsWith("frp_")) return { kind: "hmac", text };
  const parts = text.split(".");
  if (parts.length !== 3) return undefined;
  return { kind: readPart(parts[0] ?? "")["typ"] === "keyhole-tunnel+jwt" ? "jwt" : "stellar-jwt", text };
}

/** `{token}` of an answer, `{metadatas}` of a frpc.toml, or metadatas themselves. */
function readTable(table: Readonly<Record<string, unknown>> | undefined): FoundCredential | undefined {
  if (table === undefined) return undefined;
  const { metadatas } = table;
  const metas = textsOf(typeof metadatas === "object" && metadatas !== null ? (metadatas as Record<string, unknown>) : table);
  if (metas["auth_claim"] !== undefined) return { kind: "claim", metas };
  const bare = metas["token"] ?? metas["jwt"];
  return bare === undefined ? undefined : readBare(bare.trim());
}

const textsOf = (table: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(table).filter((entry): entry is [string, string] => typeof entry[1] === "string"));

function parseTable(text: string): Readonly<Record<string, unknown>> | undefined {
  for (const read of [JSON.parse, parse] as const) {
    try {
      const value: unknown = read(text);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    } catch {
      // It is the other, or none.
    }
  }
  return undefined;
}

function readPart(part: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
