import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chainStart, type EventEntry, hashEvent } from "@keyhole/core";
import { type EventReader, openEventReader, openSessionStore } from "@keyhole/store";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parseConfig } from "../config/load-config.ts";
import type { Foundation } from "../parts/foundation.ts";
import { openStateDirectory } from "../state/state-directory.ts";
import { createWorld } from "../world.ts";
import { openAuditedSessionStore, openAuditedTokenStore } from "./audited-stores.ts";
import { createEventOutbox } from "./event-outbox.ts";
import { deriveSettingsInForce } from "./settings-in-force.ts";
import { verifyAudit } from "./verify-audit.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-trail-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const config = (toml = ""): Foundation["config"] => parseConfig({ text: `stateDir = "."\n${toml}`, name: "test", base: dir, env: {} });
const log = { debug() {}, info() {}, warn() {}, error() {} };
const foundation = (toml?: string): Foundation =>
  ({
    config: config(toml),
    world: { ...createWorld(), randomBytes },
    component: () => log,
    state: openStateDirectory(dir, "private"),
    processName: "token",
  }) as Partial<Foundation> as Foundation;
const openReader = (writer: "tokens" | "sessions"): EventReader => openEventReader({ path: join(dir, `${writer}.db`), writer });

async function read(writer: "tokens" | "sessions" = "tokens"): Promise<readonly [string, Record<string, unknown>][]> {
  await using reader = openReader(writer);
  return (await reader.after(0, 1000)).map(({ event, detail }) => [event, JSON.parse(detail) as Record<string, unknown>]);
}
const detailsOf = async (event: string): Promise<readonly Record<string, unknown>[]> =>
  (await read()).flatMap(([name, detail]) => (name === event ? [detail] : []));

it("tells start and stop, and of a start whether the process before it stopped in order or was killed", async () => {
  await (await openAuditedTokenStore(foundation()))[Symbol.asyncDispose]();
  const killed = await openAuditedTokenStore(foundation());
  const { tokens, trail } = killed;
  // What a kill leaves: a file without a word of the end.
  await tokens[Symbol.asyncDispose]();
  await (await openAuditedTokenStore(foundation()))[Symbol.asyncDispose]();
  await trail[Symbol.asyncDispose]();
  const { digest } = deriveSettingsInForce(config());
  expect(await detailsOf("process.started")).toEqual([
    { part: "token", version: "0.1.0", pid: process.pid, config: digest },
    expect.objectContaining({ afterStop: true }),
    expect.objectContaining({ afterStop: false }),
  ]);
  expect(await detailsOf("process.stopped")).toHaveLength(2);
});

/** Changes a word of an event, has the chain agree with it again, and puts its new end there as `sql` says. */
function rewrite(writer: "tokens" | "sessions", sql: string): void {
  const db = new Database(join(dir, `${writer}.db`));
  const first = db.prepare('UPDATE events SET detail = \'{"part":"other"}\' WHERE sequence = (SELECT max(sequence) FROM events)');
  expect(first.run().changes).toBe(1);
  let last: Uint8Array = chainStart;
  const rows = db.prepare<[], { sequence: number; at: number; event: string; label: string | null; detail: string }>(
    "SELECT * FROM events ORDER BY sequence",
  );
  for (const row of rows.all()) {
    last = hashEvent(last, { ...row, at: new Date(row.at), label: row.label ?? undefined });
    db.prepare("UPDATE events SET hash = ? WHERE sequence = ?").run(last, row.sequence);
  }
  db.prepare("UPDATE checkpoints SET hash = ? WHERE name = 'head'").run(last);
  db.exec(sql);
  db.close();
}

const flawsOf = async (): Promise<readonly string[]> =>
  (await verifyAudit(dir, () => {})).chains.flatMap(({ writer, flaws }) =>
    flaws.map(({ sequence, flaw }) => `${writer} ${sequence} ${flaw}`),
  );

it.each([
  ["as it was", ""],
  ["of nobody", "UPDATE checkpoints SET key_id = '', signature = x'' WHERE name = 'head'"],
  ["of a stranger", "UPDATE checkpoints SET key_id = '1-00000000' WHERE name = 'head'"],
  [
    "of nobody, and none of before",
    "UPDATE checkpoints SET key_id = '', signature = x'' WHERE name = 'head'; DELETE FROM checkpoints WHERE name = 'signed'",
  ],
])(
  "a history that was rewritten to its end, with a signature %s, is not made good by the writer that signs on behind it",
  async (_what, sql) => {
    const run = async (): Promise<void> => (await openAuditedTokenStore(foundation()))[Symbol.asyncDispose]();
    await run();
    await run();
    expect(await flawsOf()).toEqual([]);
    rewrite("tokens", sql);
    await run();
    expect(await flawsOf()).toEqual(["tokens 6 signed-over"]);
    await run();
    expect(await flawsOf()).toEqual(["tokens 6 signed-over"]);
  },
);

it("an order that a command wrote without the key, in the plugin's place, is no rewriting; anything else without it is", async () => {
  const run = async (): Promise<void> => (await openAuditedSessionStore(foundation()))[Symbol.asyncDispose]();
  const writeUnsigned = async (event: "block.lifted" | "session.kicked"): Promise<void> => {
    await using store = await openSessionStore({
      path: join(dir, "sessions.db"),
      log,
      events: { signer: undefined, keepMs: 1e12, keepRows: 1e6 },
    });
    for (const number of [1, 2]) await store.saveEvents([{ at: new Date(), event, detail: { number } }]);
  };
  await run();
  await writeUnsigned("block.lifted");
  await run();
  expect(await flawsOf()).toEqual([]);
  await writeUnsigned("session.kicked");
  await run();
  expect(await flawsOf()).toEqual([expect.stringMatching(/^sessions \d+ signed-over$/)]);
});

it("tells by name which settings are others, never their values, and nothing when they are the same", async () => {
  const run = async (toml?: string): Promise<void> => (await openAuditedTokenStore(foundation(toml)))[Symbol.asyncDispose]();
  await run();
  await run();
  expect(await detailsOf("config.changed")).toEqual([]);
  await run('control.host = "connect.secret.example.org"\n[token]\nttlSeconds = 600');
  const [changed] = await detailsOf("config.changed");
  expect(changed?.["settings"]).toBe("control.host token.ttlSeconds");
  rmSync(join(dir, "settings-in-force.tokens.json"));
  await run();
  expect((await detailsOf("config.changed")).map(({ settings }) => settings)).toEqual(["control.host token.ttlSeconds", null]);
  expect(JSON.stringify(await read())).not.toContain("secret.example.org");
});

it("remembers the end of the other chain at start and stop, and each refusal's first at once", async () => {
  const sessions = await openAuditedSessionStore(foundation());
  {
    await using tokens = await openAuditedTokenStore(foundation());
    for (let count = 0; count < 500; count += 1) tokens.trail.noteRefusal("BUSY", undefined);
  }
  await sessions[Symbol.asyncDispose]();
  expect(await detailsOf("refused")).toEqual([
    { code: "BUSY", surface: "token" },
    expect.objectContaining({ code: "BUSY", surface: "token", more: 499 }),
  ]);
  await using reader = openReader("tokens");
  const { head } = await reader.bounds();
  const seen = (await read("sessions")).filter(([event]) => event === "checkpoint.seen").at(-1)?.[1];
  expect(seen).toEqual({ writer: "tokens", sequence: head?.sequence, hash: Buffer.from(head?.hash ?? []).toString("hex") });
});

it("events that are put at any moment of another's writing are written, each once", async () => {
  const saved: number[] = [];
  const outbox = createEventOutbox({
    log,
    save: async (entries) => {
      for (const { detail } of entries) saved.push(Number(detail["number"]));
    },
  });
  const entry = (number: number): EventEntry => ({ at: new Date(0), event: "refused", detail: { number } });
  for (let number = 0; number < 200; number += 1) {
    outbox.put([entry(number)]);
    // As many turns of the microtasks as there are between two steps of a write, from none on.
    for (let turn = 0; turn < number % 9; turn += 1) await undefined;
  }
  await outbox.flush();
  expect(saved).toEqual(Array.from({ length: 200 }, (_, number) => number));
});

it("events that cannot be written wait in their order and hold up nobody, and no flood makes them many", async () => {
  const saved: number[] = [];
  let isFull = true;
  let tries = 0;
  const outbox = createEventOutbox({
    log,
    save: async (entries) => {
      tries += 1;
      if (isFull) throw new Error("full");
      saved.push(...entries.map(({ detail }) => Number(detail["number"])));
    },
  });
  const entry = (number: number): EventEntry => ({ at: new Date(0), event: "refused", detail: { number } });
  outbox.put([entry(0)]);
  expect(await outbox.flush()).toBe(false);
  for (let number = 1; number < 5000; number += 1) outbox.put([entry(number)]);
  await outbox.flush();
  expect(tries).toBeLessThanOrEqual(3);
  isFull = false;
  expect(await outbox.flush()).toBe(true);
  expect(saved).toEqual(Array.from({ length: 1000 }, (_, number) => number));
  outbox.put([entry(7)]);
  await outbox.flush();
  expect(saved.at(-1)).toBe(7);
});
