/**
 * What must hold once everything is over: each acknowledged token has its record, the newest of each wallet logs in, there
 * is one frps, and `keyhole status` finds nothing wrong.
 */
import { join } from "node:path";
import { parseLabel } from "@keyhole/core";
import { openTokenReader } from "@keyhole/store";
import type { KeyholeParts } from "../support/keyhole-parts.ts";
import { awaitInstant } from "./await-instant.ts";
import { now } from "./history.ts";
import { awaitEverybodyBack, type Stage } from "./round.ts";
import { readStatus } from "./status-polls.ts";

const wellWithinMs = 15_000;

/** Looks, and tells the history what is not as it must be. Resolves to the number of tokens that were found. */
export async function takeLastLook(keyhole: KeyholeParts, stage: Stage): Promise<number> {
  await logInAnew(stage);
  await awaitAllWell(keyhole, stage);
  return await findStoredTokens(keyhole, stage);
}

/** Every device is stopped, then one is started on the newest file. */
async function logInAnew(stage: Stage): Promise<void> {
  const { people, signal } = stage;
  if (signal.aborted) return;
  await Promise.all(
    people.map(async (person) => {
      for (const client of person.clients()) await person.stop(client);
      await person.takeOver(false);
    }),
  );
  await awaitEverybodyBack(stage, now());
}

async function awaitAllWell(keyhole: KeyholeParts, { signal, tell }: Stage): Promise<void> {
  const until = now() + wellWithinMs;
  while (!signal.aborted) {
    const status = await readStatus(keyhole);
    if (status?.isWell === true) return;
    if (now() > until) {
      const problems = status?.parts.flatMap((part) => [`${part.part} ${part.state}`, ...(part.status?.problems ?? [])]).join("; ");
      tell({ kind: "broken-promise", at: now(), detail: `keyhole status is not well at the end: ${problems}` });
      return;
    }
    await awaitInstant(now() + 500, signal);
  }
}

/** Read beside its writer, as the plugin does. */
async function findStoredTokens(keyhole: KeyholeParts, { oracle, tell }: Stage): Promise<number> {
  await using reader = await openTokenReader({ path: join(keyhole.stateDir, "tokens.db") });
  let found = 0;
  for (const [text, grants] of oracle.acknowledged()) {
    const label = parseLabel(text);
    if (label === undefined) throw new Error(`no label: ${text}`);
    for (const { issuedAt, expiresAt } of grants) {
      const record = await reader.findToken(label, "hmac", new Date(issuedAt * 1000));
      if (record?.expiresAt.getTime() === expiresAt * 1000) found += 1;
      else {
        const detail = `an acknowledged token has no record: issued at ${issuedAt}, until ${expiresAt}; found ${JSON.stringify(record)}`;
        tell({ kind: "broken-promise", at: now(), label: text, detail });
      }
    }
  }
  return found;
}
