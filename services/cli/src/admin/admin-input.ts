/** What callers of the admin API send, read totally: query and body. */
import { grant, refuse, type Verdict } from "@keyhole/core";
import { readJsonObject } from "@keyhole/token";
import type { Context } from "hono";
import type { z } from "zod";
import type { AdminEnv } from "./admin-endpoint.ts";

const limitBytes = 4096;
/** Of a name that somebody sent, this much is repeated. */
const toldLength = 64;

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
  // Both doors read with Node's own deadline.
  const source = { header: (name: string) => c.req.header(name), incoming: undefined, stream: () => c.req.raw.body };
  const body = await readJsonObject(source, { limitBytes, timeoutMs: Number.POSITIVE_INFINITY });
  if (!body.granted) return body;
  const result = schema.safeParse(body.value.fields);
  if (result.success) return grant(result.data);
  const [issue] = result.error.issues;
  if (issue?.code === "unrecognized_keys") return refuse("UNKNOWN_FIELD", { field: String(issue.keys[0]).slice(0, toldLength) });
  return refuse("FIELD_MALFORMED", { field: String(issue?.path[0] ?? ""), reason: issue?.message ?? "" });
}
