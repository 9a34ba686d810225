/** An event for people, on one line, and for programs, as JSON. Whatever stands in a file that others can write, no terminal obeys it. */
import { identityOfLabel, parseLabel, printIdentity } from "@keyhole/core";
import pc from "picocolors";
import type { HistoryEvent } from "./read-events.ts";
import { parseObject, printInstant } from "./verify-chain.ts";

/** Members of a detail that are Unix seconds. */
const secondsKeys = new Set(["issuedAt", "expiresAt", "notBefore"]);
/** Hashes: their beginning tells them apart. */
const hashForm = /^[0-9a-f]{64}$/;
const shownDigits = 12;

/** The line over the table. */
export const eventHeading = `${"time".padEnd(24)}  ${"chain".padEnd(8)}  ${"event".padEnd(17)}  ${"address".padEnd(42)}  facts`;

/** A line of the table. */
export function renderEventLine(row: HistoryEvent): string {
  const facts = Object.entries(parseObject(row.detail)).map(([key, value]) => `${clean(key)}=${renderFact(key, value)}`);
  const address = printAddress(row) ?? "-";
  const cells = [
    pc.dim(printInstant(row.at).padEnd(24)),
    pc.dim(row.writer.padEnd(8)),
    pc.bold(clean(row.event).padEnd(17)),
    address.padEnd(42),
  ];
  return [...cells, facts.join(" ")].join("  ").trimEnd();
}

/** The same for programs; `detail` as it was written. */
export function renderEventJson(row: HistoryEvent): string {
  return JSON.stringify({
    at: printInstant(row.at),
    chain: row.writer,
    sequence: row.sequence,
    event: row.event,
    address: printAddress(row) ?? null,
    detail: parseObject(row.detail),
    hash: Buffer.from(row.hash).toString("hex"),
  });
}

function renderFact(key: string, value: unknown): string {
  if (typeof value === "number" && secondsKeys.has(key)) return printInstant(new Date(value * 1000));
  if (typeof value === "string") {
    const text = clean(hashForm.test(value) ? value.slice(0, shownDigits) : value);
    return text === "" || /[\s"]/.test(text) ? JSON.stringify(text) : text;
  }
  return clean(JSON.stringify(value) ?? "");
}

/** In the spelling of the wallet; a label that is none as it stands there. */
function printAddress({ label }: HistoryEvent): string | undefined {
  if (label === undefined) return undefined;
  const known = parseLabel(label);
  return known === undefined ? clean(label) : printIdentity(identityOfLabel(known));
}

/** Control characters, and those that turn the direction of text, are shown as what they are not. */
const clean = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
