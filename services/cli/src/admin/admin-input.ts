/** What callers of the admin API send, read totally: query and body. */
import { grant, parseStrictJson, refuse, type Verdict } from "@keyhole/core";
import type { Context } from "hono";
import type { z } from "zod";
import type { AdminEnv } from "./admin-endpoint.ts";

const limitBytes = 4096;
/** Of a name that somebody sent, this much is repeated. */
const toldLength = 64;
const jsonType = /^application\/json[ \t]*(?:;|$)/i;

/** The query's parameters. Refuses those that are not named here, and one that stands twice. */
export function parseQuery<Name extends string>(c: Context<AdminEnv>, names: readonly Name[]): Verdict<Partial<Record<Name, string>>> {
  const given: Partial<Record<Name, string>> = {};
  for (const [parameter, value] of new URL(c.req.url).searchParams) {
    const name = names.find((each) => each === parameter);
    const told = { parameter: parameter.slice(0, toldLength) };
    if (name === undefined) return refuse("QUERY_MALFORMED", { ...told, reason: "there is no such parameter here" });
    if (given[name] !== undefined) return refuse("QUERY_MALFORMED", { ...told, reason: "it stands twice" });
    given[name] = value;
  }
  return grant(given);
}

/** A whole number of the query; `usual` when it is not there. */
export function parseWhole(
  parameter: string,
  text: string | undefined,
  of: { readonly least: number; readonly most: number; readonly usual: number },
): Verdict<number> {
  if (text === undefined) return grant(of.usual);
  const number = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= of.least && number <= of.most) return grant(number);
  return refuse("QUERY_MALFORMED", { parameter, reason: `it must be a whole number from ${of.least} to ${of.most}` });
}

/** The body, as this schema has it. Reads 4 KiB at most. */
export async function parseBody<Schema extends z.ZodType>(c: Context<AdminEnv>, schema: Schema): Promise<Verdict<z.output<Schema>>> {
  if (!jsonType.test(c.req.header("content-type") ?? "")) return refuse("CONTENT_TYPE_UNSUPPORTED");
  const encoding = c.req.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return refuse("CONTENT_ENCODING_UNSUPPORTED");
  const bytes = await readBytes(c.req.raw.body);
  if (!bytes.granted) return bytes;
  const json = parseStrictJson(bytes.value);
  if (json.kind === "not-json") return refuse("BODY_INVALID_JSON");
  if (json.kind === "duplicate") return refuse("BODY_DUPLICATE_KEY", { field: json.name.slice(0, toldLength) });
  if (typeof json.value !== "object" || json.value === null || Array.isArray(json.value)) return refuse("BODY_NOT_OBJECT");
  const result = schema.safeParse(json.value);
  if (result.success) return grant(result.data);
  const [issue] = result.error.issues;
  if (issue?.code === "unrecognized_keys") return refuse("UNKNOWN_FIELD", { field: String(issue.keys[0]).slice(0, toldLength) });
  return refuse("FIELD_MALFORMED", { field: String(issue?.path[0] ?? ""), reason: issue?.message ?? "" });
}

async function readBytes(stream: ReadableStream<Uint8Array> | null): Promise<Verdict<Uint8Array>> {
  if (stream === null) return grant(new Uint8Array());
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      length += chunk.length;
      if (length > limitBytes) return refuse("BODY_TOO_LARGE", { limitBytes });
      chunks.push(chunk);
    }
  } catch {
    return refuse("REQUEST_MALFORMED");
  }
  return grant(Buffer.concat(chunks));
}
