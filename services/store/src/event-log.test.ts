import { generateKeyPairSync, sign, verify } from "node:crypto";
import { type ChainFlaw, createChainVerifier, type EventEntry, type EventRecord } from "@keyhole/core";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { at, signedOrder } from "../test/signed-orders.ts";
import { labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { type EventSettings, openEventReader, openSessionStore, openTokenStore } from "./index.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const settings: EventSettings = {
  signer: { keyId: "k1", sign: (text) => sign(null, text, privateKey) },
  keepMs: 3_600_000,
  keepRows: 1_000_000,
};
const day = 86_400_000;
const entry = (number: number, ms = 0): EventEntry => ({
  at: new Date(at(0).getTime() + ms),
  event: "refused",
  label: labelOf(number % 3),
  detail: { number },
});

/** Every flaw of the file's chain, as `audit verify` would tell it. */
async function flawsOf(path: string, writer: "tokens" | "sessions" = "sessions"): Promise<string[]> {
  await using reader = openEventReader({ path, writer });
  const { head, base } = await reader.bounds();
  const verifier = createChainVerifier({
    writer,
    head,
    base,
    verify: (keyId, text, signature) => (keyId === "k1" ? verify(null, text, publicKey, signature) : undefined),
  });
  const flaws: (ChainFlaw | undefined)[] = [...verifier.checkpoints];
  let rows: readonly EventRecord[] = [];
  let from = base?.sequence ?? 0;
  do {
    rows = await reader.after(from, 7);
    for (const row of rows) flaws.push(verifier.next(row));
    from = rows.at(-1)?.sequence ?? from;
  } while (rows.length > 0);
  flaws.push(verifier.end());
  return flaws.flatMap((flaw) => (flaw === undefined ? [] : [`${flaw.sequence} ${flaw.flaw}`]));
}

const closing = (db: Database.Database): Database.Database & Disposable => Object.assign(db, { [Symbol.dispose]: () => db.close() });

function change(path: string, sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.close();
}

test("what was remembered is read back in order, in one unbroken chain, also after a restart", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  for (const first of [0, 20, 40]) {
    await using store = await openSessionStore({ path, log: silentLog, events: settings });
    for (let number = first; number < first + 20; number += 5) {
      await store.saveEvents([0, 1, 2, 3, 4].map((step) => entry(number + step)));
    }
  }
  await using reader = openEventReader({ path, writer: "sessions" });
  const rows = await reader.after(0, 1000);
  expect(rows.map(({ sequence, detail, label }) => [sequence, detail, label])).toEqual(
    Array.from({ length: 60 }, (_, number) => [number + 1, `{"number":${number}}`, labelOf(number % 3)]),
  );
  expect((await reader.after(58, 1)).map(({ sequence }) => sequence)).toEqual([59]);
  const ofOne = await reader.ofLabel(labelOf(1), 3);
  expect(ofOne.map(({ sequence }) => sequence)).toEqual([59, 56, 53]);
  expect(await flawsOf(path)).toEqual([]);
});

test("what one wallet did is found without reading what all the others did", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  await using _store = await openSessionStore({ path, log: silentLog });
  using db = closing(new Database(path, { readonly: true }));
  const plan = db.prepare("EXPLAIN QUERY PLAN SELECT * FROM events WHERE label = ? ORDER BY sequence DESC LIMIT 3").all("x");
  expect(plan.map((step) => (step as { detail: string }).detail)).toEqual([
    expect.stringMatching(/^SEARCH events USING INDEX events_of_label/),
  ]);
});

test("a row that was altered, dropped, put elsewhere or added is found, whichever it is", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  {
    await using store = await openSessionStore({ path, log: silentLog, events: settings });
    await store.saveEvents(Array.from({ length: 12 }, (_, number) => entry(number)));
  }
  const tampers: readonly [string, string, RegExp][] = [
    ["its words", "UPDATE events SET detail = '{\"number\":99}' WHERE sequence = 5", /^5 altered$/],
    ["its time", "UPDATE events SET at = at + 1 WHERE sequence = 1", /^1 altered$/],
    ["whose it is", "UPDATE events SET label = NULL WHERE sequence = 12", /^12 altered$/],
    ["dropped", "DELETE FROM events WHERE sequence = 6", /^6 missing$/],
    ["the first dropped", "DELETE FROM events WHERE sequence = 1", /^1 missing$/],
    ["the last dropped", "DELETE FROM events WHERE sequence > 9", /^12 missing$/],
    ["all dropped", "DELETE FROM events", /^12 missing$/],
    [
      "swapped",
      "UPDATE events SET sequence = -1 WHERE sequence = 3; UPDATE events SET sequence = 3 WHERE sequence = 4; UPDATE events SET sequence = 4 WHERE sequence = -1",
      /^3 altered,4 altered,5 altered$/,
    ],
    ["added", "INSERT INTO events SELECT 13, at, event, label, detail, hash FROM events WHERE sequence = 12", /^13 not-signed-for$/],
    ["its end set back", "UPDATE checkpoints SET sequence = 11 WHERE name = 'head'", /^11 bad-signature,12 not-signed-for,11 altered$/],
    ["its end away", "DELETE FROM checkpoints WHERE name = 'head'", /^12 no-checkpoint$/],
    ["its beginning set forward", "UPDATE checkpoints SET sequence = 5 WHERE name = 'base'", /^5 bad-signature,6 altered$/],
    ["signed by a stranger", "UPDATE checkpoints SET key_id = 'k2' WHERE name = 'head'", /^12 unknown-key$/],
  ];
  for (const [what, sql, found] of tampers) {
    const copy = folder.file(`${what}.db`);
    const db = new Database(path);
    db.prepare("VACUUM INTO ?").run(copy);
    db.close();
    change(copy, sql);
    expect([what, (await flawsOf(copy)).join(",")]).toEqual([what, expect.stringMatching(found)]);
  }
});

test("a chain that was forged from its beginning is found, for nobody else can sign its end", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  const stranger = generateKeyPairSync("ed25519");
  const forger = { ...settings, signer: { keyId: "k1", sign: (text: Uint8Array) => sign(null, text, stranger.privateKey) } };
  await using store = await openSessionStore({ path, log: silentLog, events: forger });
  await store.saveEvents([entry(1)]);
  expect(await flawsOf(path)).toEqual(["0 bad-signature", "1 bad-signature"]);
});

test("an event is there if and only if what it tells was committed", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog, events: settings });
  const spent = signedOrder("a");
  await store.orderToken(spent);
  // The second is refused, the third breaks in the middle of a batch whose other work is committed.
  change(
    path,
    "CREATE TRIGGER breaks BEFORE INSERT ON tokens WHEN NEW.expires_at = 7 + NEW.issued_at BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  const settled = await Promise.allSettled([
    store.orderToken({ ...spent, now: at(5) }),
    store.orderToken(signedOrder("b", { ttlSeconds: 7, now: at(10) })),
    store.orderToken(signedOrder("c", { now: at(20), isExclusive: true })),
  ]);
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  await using reader = openEventReader({ path, writer: "tokens" });
  expect((await reader.after(0, 10)).map(({ event, at: when }) => [event, when])).toEqual([
    ["token.granted", at(0)],
    ["owner.revoked", at(20)],
    ["token.granted", at(20)],
  ]);
  expect(await flawsOf(path, "tokens")).toEqual([]);
});

test("what is older than the retention goes, what is left is still one chain from a signed beginning", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  await using store = await openSessionStore({ path, log: silentLog, events: { ...settings, keepRows: 40 } });
  for (let number = 0; number < 100; number += 1) await store.saveEvents([entry(number)]);
  await using reader = openEventReader({ path, writer: "sessions" });
  const kept = await reader.after(0, 1000);
  expect(kept.at(-1)?.sequence).toBe(100);
  expect(kept.length).toBeGreaterThanOrEqual(40);
  expect(kept.length).toBeLessThan(40 + 16);
  expect((await reader.bounds()).base?.sequence).toBe((kept[0]?.sequence ?? 0) - 1);
  expect(await flawsOf(path)).toEqual([]);
  for (let number = 0; number < 20; number += 1) await store.saveEvents([entry(number, day)]);
  expect((await reader.after(0, 1000))[0]?.at.getTime()).toBe(at(0).getTime() + day);
  expect(await flawsOf(path)).toEqual([]);
}, 30_000);

test("a file that its writer has not migrated yet, and one that is not there, have no events", async () => {
  using folder = openTemporaryFolder();
  await using reader = openEventReader({ path: folder.file("none.db"), writer: "tokens" });
  expect(await reader.after(0, 10)).toEqual([]);
  expect(await reader.bounds()).toEqual({ head: undefined, base: undefined });
});

test("property: whatever is noted in whatever batches, one flipped bit anywhere in a row is found at that row", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      fc.constantFrom("detail", "at", "event"),
      async (batches, pick, column) => {
        using folder = openTemporaryFolder();
        const path = folder.file("sessions.db");
        {
          await using store = await openSessionStore({ path, log: silentLog, events: settings });
          for (const batch of batches) await store.saveEvents(batch.map((number) => entry(number)));
        }
        expect(await flawsOf(path)).toEqual([]);
        const row = (pick % batches.flat().length) + 1;
        const flip = column === "at" ? "at = at + 1" : `${column} = ${column} || ' '`;
        change(path, `UPDATE events SET ${flip} WHERE sequence = ${row}`);
        expect(await flawsOf(path)).toEqual([`${row} altered`]);
      },
    ),
    { numRuns: 20 },
  );
}, 30_000);
