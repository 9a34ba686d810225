import { setImmediate as nextTurn } from "node:timers/promises";
import { type Block, type OperatorRevocation, parseNetwork, type SessionRecord } from "@keyhole/core";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { faultOf, labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { openSessionReader, openSessionStore } from "./index.ts";

const start = 1_800_000_000_123;
const session = (generation: number, change: Partial<SessionRecord> = {}): SessionRecord => ({
  label: labelOf(1),
  generation,
  kind: "hmac",
  issuedAt: new Date(1_800_000_000_000),
  endsAt: new Date(start + 3_600_000),
  admittedAt: new Date(start),
  connectedAt: undefined,
  closedAt: undefined,
  end: undefined,
  ...change,
});

test("a session that was saved is found as it was, and saving it again replaces it", async () => {
  using folder = openTemporaryFolder();
  await using store = await openSessionStore({ path: folder.file("sessions.db"), log: silentLog });
  expect(await store.findSession(labelOf(1), start)).toBeUndefined();
  expect(await store.highestGeneration(labelOf(1))).toBe(0);
  await store.saveSession(session(start));
  expect(await store.findSession(labelOf(1), start)).toEqual(session(start));
  const ended = session(start, {
    issuedAt: new Date(1_800_000_060_000),
    connectedAt: new Date(start + 5),
    closedAt: new Date(start + 9),
    end: "displaced",
  });
  await Promise.all([store.saveSession(session(start)), store.saveSession(ended)]);
  expect(await store.findSession(labelOf(1), start)).toEqual(ended);
  expect(await store.findSession(labelOf(2), start)).toBeUndefined();
  expect(await store.findSession(labelOf(1), Number.NaN)).toBeUndefined();
});

test("the highest generation of a label survives the clean-up of its rows", async () => {
  using folder = openTemporaryFolder();
  await using store = await openSessionStore({ path: folder.file("sessions.db"), log: silentLog });
  await Promise.all(Array.from({ length: 300 }, (_, index) => store.saveSession(session(1 + ((index * 7) % 300)))));
  expect(await store.highestGeneration(labelOf(1))).toBe(300);
  for (let generation = 281; generation <= 300; generation += 1) {
    expect(await store.findSession(labelOf(1), generation)).toBeDefined();
  }
  expect(await store.findSession(labelOf(1), 1)).toBeUndefined();
  expect(await store.highestGeneration(labelOf(2))).toBe(0);
});

test("2: many logins with an older credential do not push out the row that remembers the owner's renewal", async () => {
  using folder = openTemporaryFolder();
  await using store = await openSessionStore({ path: folder.file("sessions.db"), log: silentLog });
  const renewed = session(5, { issuedAt: new Date(1_800_000_600_000) });
  await store.saveSession(renewed);
  await Promise.all(Array.from({ length: 200 }, (_, index) => store.saveSession(session(100 + index))));
  expect(await store.findSession(labelOf(1), 5)).toEqual(renewed);
  expect(await store.findSession(labelOf(1), 101)).toBeUndefined();
});

test("2: the newest issued-at of each self-signed kind outlives the clean-up of its row, and its session's coming back with another kind", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  const first = await openSessionStore({ path, log: silentLog });
  const claimed = new Date(1_800_000_000_000);
  const asClaim = (generation: number, seconds: number) =>
    session(generation, { kind: "claim", issuedAt: new Date(claimed.getTime() + seconds * 1000) });
  await first.saveSession(asClaim(1, 0));
  await first.saveSession(asClaim(2, -60));
  await first.saveSession(session(2, { kind: "stellar-jwt", issuedAt: new Date(5000) }));
  // Newer and of higher rank, all of them, and more than are kept.
  await Promise.all(
    Array.from({ length: 300 }, (_, index) =>
      first.saveSession(session(10 + index, { issuedAt: new Date(1_900_000_000_000 + index * 1000) })),
    ),
  );
  expect(await first.findSession(labelOf(1), 1)).toBeUndefined();
  await first[Symbol.asyncDispose]();

  await using store = await openSessionStore({ path, log: silentLog });
  await using reader = await openSessionReader({ path });
  for (const sessions of [store, reader]) {
    expect(await sessions.newestIssuedAt(labelOf(1), "claim")).toEqual(claimed);
    expect(await sessions.newestIssuedAt(labelOf(1), "stellar-jwt")).toEqual(new Date(5000));
    // A token's newest is in tokens.db.
    expect(await sessions.newestIssuedAt(labelOf(1), "hmac")).toBeUndefined();
    expect(await sessions.newestIssuedAt(labelOf(2), "claim")).toBeUndefined();
  }
});

test("the newest issued-at is known at once, before and while and after it is written, and never falls", async () => {
  using folder = openTemporaryFolder();
  await using store = await openSessionStore({ path: folder.file("sessions.db"), log: silentLog });
  const asClaim = (seconds: number) => session(7, { kind: "claim", issuedAt: new Date(seconds * 1000) });
  const known = async () => ((await store.newestIssuedAt(labelOf(1), "claim"))?.getTime() ?? 0) / 1000;
  const saved = [store.saveSession(asClaim(30))];
  expect(await known()).toBe(30);
  saved.push(store.saveSession(asClaim(20)), store.saveSession(session(7, { kind: "hmac" })));
  expect(await known()).toBe(30);
  let isWritten = false;
  const written = Promise.all(saved).then(() => {
    isWritten = true;
  });
  while (!isWritten) {
    expect(await known()).toBe(30);
    await nextTurn();
  }
  await written;
  expect(await known()).toBe(30);
  const older = store.saveSession(asClaim(25));
  expect(await known()).toBe(30);
  await older;
  expect(await known()).toBe(30);
  await store.saveSession(asClaim(31));
  expect(await known()).toBe(31);
});

test("a session that no caller may hand in fails alone", async () => {
  using folder = openTemporaryFolder();
  await using store = await openSessionStore({ path: folder.file("sessions.db"), log: silentLog });
  const saved = await Promise.allSettled([
    store.saveSession(session(1)),
    store.saveSession(session(0)),
    store.saveSession(session(2, { endsAt: new Date(Number.NaN) })),
    store.saveLastSeen(labelOf(1), new Date(Number.NaN)),
    store.saveSession(session(3, { label: null as never })),
    store.saveSession(session(4)),
  ]);
  expect(saved.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "rejected", "rejected", "fulfilled"]);
  expect(await store.highestGeneration(labelOf(1))).toBe(4);
});

test("last seen is the latest moment that was told, in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 1000 })), { minLength: 1 }),
      async (told) => {
        using folder = openTemporaryFolder();
        await using store = await openSessionStore({ path: folder.file("sessions.db"), log: silentLog });
        await Promise.all(told.map(([wallet, ms]) => store.saveLastSeen(labelOf(wallet), new Date(start + ms))));
        const latest = new Map<number, number>();
        for (const [wallet, ms] of told) latest.set(wallet, Math.max(latest.get(wallet) ?? 0, ms));
        for (const [wallet, ms] of latest) expect(await store.lastSeen(labelOf(wallet))).toEqual(new Date(start + ms));
        const newest = [...(await store.recentlySeen(2))].map(([, seen]) => seen.getTime() - start);
        expect(newest).toEqual([...latest.values()].sort((a, b) => b - a).slice(0, 2));
      },
    ),
    { numRuns: 25 },
  );
});

test("a block holds a label or a network, and a reader sees it and its end at once", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  await using reader = await openSessionReader({ path });
  expect(await reader.blocks()).toEqual([]);
  expect(await reader.standing(labelOf(1))).toEqual({ revocation: undefined, block: undefined });
  expect(await reader.recentlySeen(5)).toEqual(new Map());
  expect(await reader.highestGeneration(labelOf(1))).toBe(0);
  expect(await reader.lastSeen(labelOf(1))).toBeUndefined();
  expect(await reader.newestIssuedAt(labelOf(1), "claim")).toBeUndefined();
  expect(await reader.findSession(labelOf(1), 1)).toBeUndefined();
  await using store = await openSessionStore({ path, log: silentLog });
  const createdAt = new Date(start);
  const ofLabel: Block = { subject: labelOf(7), reason: "phishing, ticket 12", createdAt, endsAt: new Date(start + 9) };
  const ofNetwork: Block = { subject: parseNetwork("203.0.113.7/24") ?? labelOf(1), reason: "", createdAt, endsAt: undefined };
  const event = { at: createdAt, event: "block.set", detail: {} } as const;
  await store.saveBlock({ ...ofLabel, endsAt: undefined }, event);
  await store.saveBlock(ofLabel, event);
  await store.saveBlock(ofNetwork, event);
  const other = new Database(path);
  other.prepare("INSERT INTO blocks VALUES ('no label', 'mistake', 1, NULL)").run();
  expect(await reader.blocks()).toEqual([ofLabel, ofNetwork]);
  expect(await reader.standing(labelOf(7))).toEqual({ revocation: undefined, block: ofLabel });
  expect(await store.removeBlock(ofNetwork.subject, event)).toBe(true);
  expect(await store.removeBlock(ofNetwork.subject, event)).toBe(false);
  expect(await reader.blocks()).toEqual([ofLabel]);
  expect(other.prepare("SELECT count(*) FROM events").pluck().get()).toBe(4);
  await store.saveSession(session(9));
  expect(await reader.findSession(labelOf(1), 9)).toEqual(session(9));
  other.prepare("UPDATE sessions SET end = 'abducted'").run();
  other.close();
  expect((await faultOf(reader.findSession(labelOf(1), 9))).code).toBe("STORE_UNAVAILABLE");
  expect(await reader.highestGeneration(labelOf(1))).toBe(9);
});

test("6: an operator's revocation only ever rises, whatever is written later, and outlives the process", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  const at = new Date(start);
  const event = { at, event: "operator.revoked", label: labelOf(1), detail: {} } as const;
  const revocation: OperatorRevocation = { label: labelOf(1), notBefore: new Date(1_800_000_003_000), at };
  {
    await using store = await openSessionStore({ path, log: silentLog });
    await store.saveOperatorRevocation(revocation, event);
    await store.saveOperatorRevocation({ ...revocation, notBefore: new Date(start), at: new Date(start - 5) }, event);
  }
  await using store = await openSessionStore({ path, log: silentLog });
  expect(await store.operatorRevocations()).toEqual([revocation]);
  expect(await store.standing(labelOf(1))).toEqual({ revocation, block: undefined });
  expect(await store.standing(labelOf(2))).toEqual({ revocation: undefined, block: undefined });
});

test("the sessions of a label come the newest first, as many as were asked for", async () => {
  using folder = openTemporaryFolder();
  await using store = await openSessionStore({ path: folder.file("sessions.db"), log: silentLog });
  await Promise.all([7, 9, 8].map((generation) => store.saveSession(session(generation))));
  expect((await store.sessionsOf(labelOf(1), 2)).map(({ generation }) => generation)).toEqual([9, 8]);
  expect(await store.sessionsOf(labelOf(2), 2)).toEqual([]);
});

test("check resolves when a row can be read and written, also many at once", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  const store = await openSessionStore({ path, log: silentLog });
  await Promise.all([store.check(), store.check(), store.check()]);
  await store.check();
  const other = new Database(path, { readonly: true });
  expect(other.prepare("SELECT count FROM probe").pluck().get()).toBe(2);
  other.close();
  await store[Symbol.asyncDispose]();
  expect((await faultOf(store.check())).code).toBe("STORE_UNAVAILABLE");
});

test("what the writer was given it knows at once, and what one session says in a moment is one row", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  await using store = await openSessionStore({ path, log: silentLog });
  await using reader = await openSessionReader({ path });
  const saved = [
    store.saveSession(session(7)),
    store.saveSession(session(7, { connectedAt: new Date(start + 5) })),
    store.saveLastSeen(labelOf(1), new Date(start + 5)),
  ];
  expect(await store.findSession(labelOf(1), 7)).toMatchObject({ connectedAt: new Date(start + 5) });
  expect(await store.lastSeen(labelOf(1))).toEqual(new Date(start + 5));
  expect(await reader.findSession(labelOf(1), 7)).toBeUndefined();
  expect(await store.highestGeneration(labelOf(1))).toBe(7);
  await Promise.all(saved);
  expect(await reader.findSession(labelOf(1), 7)).toMatchObject({ connectedAt: new Date(start + 5) });
});

test("6: rows that were given just before the store is closed are in the file", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  const store = await openSessionStore({ path, log: silentLog });
  const saved = Array.from({ length: 2000 }, (_, index) => store.saveSession({ ...session(5 + index), label: labelOf(index) }));
  await store[Symbol.asyncDispose]();
  await Promise.all(saved);
  await using reader = await openSessionReader({ path });
  for (const index of [0, 511, 512, 1999]) expect(await reader.highestGeneration(labelOf(index))).toBe(5 + index);
  expect(await reader.highestGenerationOfAll()).toBe(2004);
  expect(await reader.unendedSessions()).toHaveLength(2000);
});

test("sessions without an end, and until when they were watched, are there for the next process", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  await using store = await openSessionStore({ path, log: silentLog });
  expect([await store.watchedUntil(), await store.highestGenerationOfAll()]).toEqual([undefined, 0]);
  await Promise.all([
    store.saveSession(session(3)),
    store.saveSession(session(4, { closedAt: new Date(start + 9), end: "closed" })),
    store.saveWatched(new Date(start + 20)),
    store.saveWatched(new Date(start + 10)),
  ]);
  await using reader = await openSessionReader({ path });
  expect(await reader.unendedSessions()).toEqual([session(3)]);
  expect(await reader.watchedUntil()).toEqual(new Date(start + 20));
  await store.saveSession(session(3, { closedAt: new Date(start + 20), end: "lost" }));
  expect(await store.unendedSessions()).toEqual([]);
});
