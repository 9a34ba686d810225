import { rmSync } from "node:fs";
import { type Label, parseNetwork } from "@keyhole/core";
import { expect, test } from "vitest";
import { backUp, lastEvent, openSessions, orderFor } from "../test/restore-orders.ts";
import { at, start } from "../test/signed-orders.ts";
import { labelOf, openTemporaryFolder } from "../test/temporary-folder.ts";
import { restoreSessions } from "./index.ts";

const block = (subject: Label, endsAt?: number) =>
  [
    { subject, reason: `until ${endsAt}`, createdAt: at(1), endsAt: endsAt === undefined ? undefined : at(endsAt) },
    { at: at(1), event: "block.set", detail: {} },
  ] as const;

test("6: a restored sessions.db undoes no block, no lifting of one, and no revocation, where the former file goes on from the backup", async () => {
  using folder = openTemporaryFolder();
  const network = parseNetwork("203.0.113.0/24");
  const [longer, forEver, lifted, fresh] = [labelOf(1), labelOf(2), labelOf(3), labelOf(4)];
  {
    await using store = await openSessions(folder);
    for (const each of [block(longer, 50_000), block(forEver, 60_000), block(lifted)]) await store.saveBlock(...each);
    await backUp(folder, "sessions");
    for (const each of [block(longer, 20_000), block(forEver), block(fresh, 30_000)]) await store.saveBlock(...each);
    if (network !== undefined) await store.saveBlock({ ...block(fresh)[0], subject: network }, block(fresh)[1]);
    await store.removeBlock(lifted, { at: at(3), event: "block.lifted", detail: {} });
    await store.saveOperatorRevocation(
      { label: fresh, notBefore: at(9000), at: at(8999) },
      { at: at(8999), event: "operator.revoked", label: fresh, detail: {} },
    );
    await store.saveSession({
      label: fresh,
      generation: (start + 5) * 1000,
      kind: "claim",
      issuedAt: at(5),
      endsAt: at(500),
      admittedAt: at(5),
      connectedAt: undefined,
      closedAt: undefined,
      end: undefined,
    });
    await store.saveLastSeen(fresh, at(77));
  }
  // The edge's list is for when nobody else knows.
  const restored = await restoreSessions({ ...orderFor(folder, "sessions"), edgeBlocks: [labelOf(99)] });
  expect(restored).toMatchObject({ former: "whole", returnedBlocks: [] });
  await using store = await openSessions(folder, "restored-sessions.db");
  const blocks = (await store.blocks()).map(({ subject, endsAt }) => [String(subject), endsAt]);
  expect(new Map(blocks as [string, Date | undefined][])).toEqual(
    new Map<string, Date | undefined>([
      [longer, at(20_000)],
      [forEver, undefined],
      [fresh, at(30_000)],
      ["203.0.113.0/24", undefined],
    ]),
  );
  expect(JSON.parse((await lastEvent(folder.file("restored-sessions.db"), "sessions"))?.detail ?? "{}")).toMatchObject({
    backupSequence: 3,
    former: "whole",
    formerSequence: 9,
    "carried.blocks": 3,
  });
  expect(await store.operatorRevocations()).toEqual([{ label: fresh, notBefore: at(9000), at: at(8999) }]);
  expect(await store.highestGeneration(fresh)).toBe((start + 5) * 1000);
  expect(await store.newestIssuedAt(fresh, "claim")).toEqual(at(5));
  expect(await store.lastSeen(fresh)).toEqual(at(77));
});

test("6: where the former sessions.db was begun anew, the blocks of both hold, and of two ends the later one", async () => {
  using folder = openTemporaryFolder();
  const [longer, forEver, old, fresh] = [labelOf(1), labelOf(2), labelOf(3), labelOf(4)];
  {
    await using store = await openSessions(folder);
    for (const each of [block(longer, 50_000), block(forEver, 60_000), block(old)]) await store.saveBlock(...each);
    await backUp(folder, "sessions");
  }
  for (const suffix of ["", "-wal", "-shm"]) rmSync(folder.file("sessions.db") + suffix, { force: true });
  {
    await using store = await openSessions(folder);
    for (const each of [block(longer, 20_000), block(forEver), block(fresh, 30_000)]) await store.saveBlock(...each);
  }
  const restored = await restoreSessions({ ...orderFor(folder, "sessions"), edgeBlocks: [] });
  expect(restored).toMatchObject({ former: "whole", returnedBlocks: [old] });
  await using store = await openSessions(folder, "restored-sessions.db");
  expect(new Map((await store.blocks()).map(({ subject, endsAt }) => [String(subject), endsAt]))).toEqual(
    new Map<string, Date | undefined>([
      [longer, at(50_000)],
      [forEver, undefined],
      [old, undefined],
      [fresh, at(30_000)],
    ]),
  );
});

test("6: with the former sessions.db destroyed the edge's list still says who is blocked", async () => {
  using folder = openTemporaryFolder();
  {
    await using store = await openSessions(folder);
    await store.saveBlock(...block(labelOf(1), 50_000));
    await backUp(folder, "sessions");
  }
  rmSync(folder.file("sessions.db"));
  const restored = await restoreSessions({ ...orderFor(folder, "sessions"), edgeBlocks: [labelOf(1), labelOf(2)] });
  expect(restored).toMatchObject({ former: "lost", carried: { edge_blocks: 1 } });
  await using store = await openSessions(folder, "restored-sessions.db");
  expect((await store.blocks()).map(({ subject, reason }) => [subject, reason])).toEqual([
    [labelOf(1), "until 50000"],
    [labelOf(2), "restored from the edge's list"],
  ]);
});
