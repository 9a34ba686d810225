/**
 * The door and its map files: what a change leaves on disk, what a restarted edge makes of it, and what a full or broken
 * disk may and may not hold up.
 */
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Door, type Label, parseLabel } from "@keyhole/core";
import { createDoor, type EdgeRuntime } from "@keyhole/edge";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type Harness, hostOf, labelOf, live, offline, openHarness, visit } from "./edge-harness.ts";

let harness: Harness;
beforeEach(async () => {
  harness = await openHarness();
});
afterEach(() => harness[Symbol.asyncDispose]());

const read = (name: string) => readFile(join(harness.dir, name), "utf8").catch(() => "");
const since = new Date("2026-05-06T07:08:09.000Z");
const lastSeen = new Date("2026-05-06T10:11:12.000Z");

describe("map files", () => {
  it("each call resolves when its line is there: label and time, mode 0660, nothing temporary left", async () => {
    const label = labelOf("1");
    await harness.door.put({ label, since });
    expect(await read("live.map")).toBe(`${live} 2026-01-01T00:00:00.000Z\n${label} 2026-05-06T07:08:09.000Z\n`);
    await harness.door.delete(label, { lastSeen, reason: "offline" });
    expect(await read("live.map")).toBe(`${live} 2026-01-01T00:00:00.000Z\n`);
    expect(await read("last-seen.map")).toBe(`${label} 2026-05-06T10:11:12.000Z\n`);
    await harness.door.block(label);
    expect(await read("blocked.map")).toMatch(new RegExp(`^${label} \\S+\\n$`));
    await harness.door.unblock(label);
    expect(await read("blocked.map")).toBe("");
    expect((await stat(join(harness.dir, "live.map"))).mode & 0o777).toBe(0o660);
    expect((await readdir(harness.dir)).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it("a folder that the door makes, and its files, are the group's too, whatever the umask", async () => {
    const mapsDir = join(harness.dir, "maps");
    const former = process.umask(0o077);
    try {
      const door = createDoor({ mapsDir, runtime: harness.edge.runtime, now: harness.options.now });
      await door.replaceAll({ live: [], lastSeen: new Map(), blocked: new Set(), blockedNetworks: new Set() });
      await door.put({ label: live, since });
    } finally {
      process.umask(former);
    }
    expect(((await stat(mapsDir)).mode & 0o7777).toString(8)).toBe("2770");
    for (const name of await readdir(mapsDir))
      expect(`${name} ${((await stat(join(mapsDir, name))).mode & 0o7777).toString(8)}`).toBe(`${name} 660`);
    expect(await readdir(mapsDir)).toHaveLength(4);
  });

  it("the mode of a folder that was there, and a file that another user left half-written, are no obstacle", async () => {
    const mapsDir = join(harness.dir, "maps");
    await mkdir(mapsDir, { mode: 0o700 });
    await writeFile(join(harness.dir, "elsewhere"), "untouched");
    await symlink(join(harness.dir, "elsewhere"), join(mapsDir, "live.map.new"));
    await writeFile(join(mapsDir, "blocked.map.new"), "left", { mode: 0o400 });
    const door = createDoor({ mapsDir, runtime: harness.edge.runtime, now: harness.options.now });
    await door.put({ label: live, since });
    await door.block(labelOf("1"));
    expect((await stat(mapsDir)).mode & 0o7777).toBe(0o700);
    expect(await readFile(join(harness.dir, "elsewhere"), "utf8")).toBe("untouched");
    expect((await readdir(mapsDir)).toSorted()).toEqual(["blocked.map", "live.map"]);
  });

  it("a thousand changes at once share a few writes and all arrive", async () => {
    const labels = Array.from({ length: 1000 }, (_, index) => numbered(index));
    const start = performance.now();
    await Promise.all(labels.map((label) => harness.door.put({ label, since })));
    expect(performance.now() - start).toBeLessThan(2000);
    expect((await read("live.map")).split("\n")).toHaveLength(1002);
    expect(harness.edge.stats().liveLabels).toBe(1001);
    await Promise.all(labels.map((label) => harness.door.delete(label, { lastSeen, reason: "ended" })));
    expect((await read("live.map")).split("\n")).toHaveLength(2);
    expect((await read("last-seen.map")).split("\n")).toHaveLength(1001);
  });

  it("calls for one label that overlap end in the last one, in file and edge", async () => {
    const label = labelOf("2");
    const calls: Promise<void>[] = [];
    for (let round = 0; round < 20; round += 1) {
      calls.push(harness.door.put({ label, since }), harness.door.delete(label, { lastSeen, reason: "ended" }));
    }
    await Promise.all(calls);
    expect(await read("live.map")).not.toContain(label);
    expect((await visit(harness.edge, hostOf(label))).status).toBe(503);
    calls.push(harness.door.delete(label, { lastSeen, reason: "ended" }), harness.door.put({ label, since }));
    await Promise.all(calls);
    expect(await read("live.map")).toContain(label);
    expect((await visit(harness.edge, hostOf(label))).status).toBe(200);
  });

  it("replaceAll is the whole truth", async () => {
    const [kept, came] = [labelOf("3"), labelOf("4")];
    await harness.door.put({ label: kept, since });
    await harness.door.block(labelOf("5"));
    await harness.door.replaceAll({
      live: [{ label: came, since }],
      lastSeen: new Map([[kept, lastSeen]]),
      blocked: new Set([live]),
      blockedNetworks: new Set(),
    });
    expect((await visit(harness.edge, hostOf(came))).status).toBe(200);
    expect((await visit(harness.edge, hostOf(kept))).json).toMatchObject({ code: "TUNNEL_OFFLINE", lastSeen: "2026-05-06T10:00:00.000Z" });
    expect((await visit(harness.edge, hostOf(live))).status).toBe(403);
    expect((await visit(harness.edge, hostOf(labelOf("5")))).status).toBe(503);
    expect(await read("live.map")).toBe(`${came} ${since.toISOString()}\n`);
  });
});

describe("a restarted edge", () => {
  it("11: answers from its files alone: live, offline with last seen, blocked", async () => {
    await harness.door.put({ label: labelOf("6"), since });
    await harness.door.delete(offline, { lastSeen, reason: "offline" });
    await harness.door.block(labelOf("7"));
    await harness.edge.stop();
    const edge = await harness.again();
    expect((await visit(edge, hostOf(labelOf("6")))).status).toBe(200);
    const start = performance.now();
    expect((await visit(edge, hostOf(offline))).json).toMatchObject({ code: "TUNNEL_OFFLINE", lastSeen: "2026-05-06T10:00:00.000Z" });
    expect(performance.now() - start).toBeLessThan(500);
    expect((await visit(edge, hostOf(labelOf("7")))).status).toBe(403);
  });

  it("a new door goes on from the files of the old one", async () => {
    await harness.door.block(labelOf("8"));
    const door = createDoor({ mapsDir: harness.dir, runtime: harness.edge.runtime, now: harness.options.now, log: harness.options.log });
    await door.put({ label: labelOf("9"), since });
    await door.block(labelOf("c"));
    expect(await read("blocked.map")).toContain(labelOf("8"));
    expect(await read("live.map")).toContain(live);
  });

  it("bad lines are ignored and said, good ones beside them count", async () => {
    await writeFile(
      join(harness.dir, "live.map"),
      `nonsense\n${labelOf("d")} not-a-time\n\n ${live}\n${labelOf("6")} 2026-01-01T00:00:00Z\n\0\n`,
    );
    const edge = await harness.again();
    expect((await visit(edge, hostOf(labelOf("6")))).status).toBe(200);
    expect((await visit(edge, hostOf(labelOf("d")))).status).toBe(503);
    expect(harness.logged.filter(({ level, fields }) => level === "warn" && "file" in fields).length).toBeGreaterThan(0);
  });

  it("a folder that does not exist is an edge where nothing is live, and the door makes it", async () => {
    const mapsDir = join(harness.dir, "not", "yet");
    const edge = await harness.again({ mapsDir });
    expect((await visit(edge, hostOf(live))).status).toBe(503);
    const door = createDoor({ mapsDir, runtime: edge.runtime, now: harness.options.now, log: harness.options.log });
    await door.put({ label: live, since });
    expect((await visit(edge, hostOf(live))).status).toBe(200);
    expect(await readdir(mapsDir)).toEqual(["live.map"]);
  });

  it("a list of blocks that cannot be read is a reason not to start", async () => {
    await mkdir(join(harness.dir, "blocked.map"));
    await expect(harness.again()).rejects.toMatchObject({ code: "STATE_UNWRITABLE" });
  });
});

describe("a disk that fails", () => {
  /** A folder in the place of the temporary file: opening it fails as a full disk would. */
  const breakDisk = async (): Promise<void> => {
    for (const name of ["live", "last-seen", "blocked"]) await mkdir(join(harness.dir, `${name}.map.new`));
  };
  const mendDisk = async (): Promise<void> => {
    for (const name of ["live", "last-seen", "blocked"]) await rm(join(harness.dir, `${name}.map.new`), { recursive: true });
  };

  it("12: does not keep a block from taking effect, but from being acknowledged; it is written when the disk is back", async () => {
    await harness.door.put({ label: labelOf("1"), since });
    await breakDisk();
    await expect(harness.door.block(live)).rejects.toMatchObject({ code: "STATE_UNWRITABLE" });
    expect((await visit(harness.edge, hostOf(live))).status).toBe(403);
    await mendDisk();
    await eventually("the block is written", async () => (await read("blocked.map")).includes(live));
    await harness.door.block(live);
  });

  it("does not hold up coming and going, and is said", async () => {
    await breakDisk();
    await harness.door.put({ label: offline, since });
    expect((await visit(harness.edge, hostOf(offline))).status).toBe(200);
    await harness.door.delete(offline, { lastSeen, reason: "ended" });
    expect((await visit(harness.edge, hostOf(offline))).status).toBe(503);
    expect(harness.logged.some(({ level }) => level === "error")).toBe(true);
    await mendDisk();
  });

  it("an unblock that is not durable is not done", async () => {
    await harness.door.block(live);
    await breakDisk();
    await expect(harness.door.unblock(live)).rejects.toMatchObject({ code: "STATE_UNWRITABLE" });
    expect((await visit(harness.edge, hostOf(live))).status).toBe(403);
    await mendDisk();
    await harness.door.unblock(live);
    expect((await visit(harness.edge, hostOf(live))).status).toBe(200);
  });

  it("files that cannot be read are not written over", async () => {
    await rm(join(harness.dir, "live.map"));
    await mkdir(join(harness.dir, "live.map"));
    const door = createDoor({ mapsDir: harness.dir, runtime: harness.edge.runtime, now: harness.options.now, log: harness.options.log });
    await door.put({ label: offline, since });
    expect((await visit(harness.edge, hostOf(offline))).status).toBe(200);
    await expect(door.block(live)).rejects.toMatchObject({ code: "STATE_UNWRITABLE" });
    expect((await visit(harness.edge, hostOf(live))).status).toBe(403);
    expect(await read("blocked.map")).toBe("");
  });
});

describe("order", () => {
  it("file first, then runtime", async () => {
    const order: string[] = [];
    const noted =
      (what: string) =>
      async (...args: readonly unknown[]): Promise<void> => {
        const label = typeof args[0] === "string" ? args[0] : (args[0] as { label: Label }).label;
        order.push(`${what} ${(await read(what === "put" ? "live.map" : "blocked.map")).includes(label)}`);
      };
    const runtime: EdgeRuntime = { ...harness.edge.runtime, put: noted("put"), block: noted("block") };
    const door: Door = createDoor({ mapsDir: harness.dir, runtime, now: harness.options.now });
    await door.put({ label: labelOf("1"), since });
    await door.block(labelOf("2"));
    expect(order).toEqual(["put true", "block true"]);
  });
});

function numbered(index: number): Label {
  const label = parseLabel(`0x${index.toString(16).padStart(40, "0")}`);
  if (label === undefined) throw new Error(`no label: ${index}`);
  return label;
}
