/**
 * The door when its edge is in another process and away: what is written goes on being written, and only what must not be
 * promised is not promised (DESIGN.md §2, 12).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Door, type DoorState, Fault, type Network, parseNetwork } from "@keyhole/core";
import { createDoor, type EdgeRuntime } from "@keyhole/edge";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Harness, labelOf, live, openHarness } from "./edge-harness.ts";

const since = new Date("2026-05-06T07:08:09.000Z");
const leave = { lastSeen: since, reason: "offline" } as const;
const [network, other] = ["192.0.2.0/24", "2001:db8::/32"].map(parseNetwork) as [Network, Network];
const state: DoorState = {
  live: [{ label: labelOf("2"), since }],
  lastSeen: new Map([[live, since]]),
  blocked: new Set([labelOf("3")]),
  blockedNetworks: new Set([other]),
};

/** What the runtime does instead of being reached; undefined: it is there. */
let absence: (() => Error) | undefined;
/** Calls that reached the edge. */
let heard: string[];
let harness: Harness;
let door: Door;
beforeEach(async () => {
  harness = await openHarness();
  absence = undefined;
  heard = [];
  const { runtime } = harness.edge;
  const reached = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    if (absence !== undefined) throw absence();
    heard.push(what);
    return work();
  };
  const remote: EdgeRuntime = {
    put: (entry) => reached("put", () => runtime.put(entry)),
    delete: (label, how) => reached("delete", () => runtime.delete(label, how)),
    replaceAll: (all) => reached("replaceAll", () => runtime.replaceAll(all)),
    handOver: (label) => reached("handOver", () => runtime.handOver(label)),
    block: (label) => reached("block", () => runtime.block(label)),
    unblock: (label) => reached("unblock", () => runtime.unblock(label)),
    blockNetwork: (which) => reached("blockNetwork", () => runtime.blockNetwork(which)),
    unblockNetwork: (which) => reached("unblockNetwork", () => runtime.unblockNetwork(which)),
    connectionOf: (address) => reached("connectionOf", () => runtime.connectionOf(address)),
    claim: (id, session) => reached("claim", () => runtime.claim(id, session)),
    release: (connectionId) => reached("release", () => runtime.release(connectionId)),
    keepOnly: (holders) => reached("keepOnly", () => runtime.keepOnly(holders)),
    claimedBy: (holder) => reached("claimedBy", () => runtime.claimedBy(holder)),
    readEvidence: (cursor) => reached("readEvidence", () => runtime.readEvidence(cursor)),
    cut: (id) => reached("cut", () => runtime.cut(id)),
  };
  door = createDoor({ mapsDir: harness.dir, runtime: remote, now: harness.options.now, log: harness.options.log });
});
afterEach(() => harness[Symbol.asyncDispose]());

const unreachable = (code: string) => () =>
  new Fault("EDGE_UNREACHABLE", "not reached", { cause: Object.assign(new Error(code), { code }) });
const read = (name: string) => readFile(join(harness.dir, name), "utf8").catch(() => "");
const said = (level: string) => harness.logged.filter((line) => line.level === level).length;

describe.each([
  ["gone (ECONNREFUSED)", unreachable("ECONNREFUSED"), true],
  ["gone (ENOENT)", unreachable("ENOENT"), true],
  ["silent", unreachable("ETIMEDOUT"), false],
  ["away without a cause", () => new Fault("EDGE_UNREACHABLE", "not reached"), false],
])("an edge that is %s", (_name, how, isGone) => {
  beforeEach(() => {
    absence = how;
  });

  it("fails no coming and going, cannot say who is connected, and is complained of once until it is back", async () => {
    await door.put({ label: labelOf("1"), since });
    await door.delete(live, leave);
    await door.handOver(labelOf("1"));
    await door.claim("id", { holder: "holder", label: live });
    expect(await door.cut("id")).toBe(false);
    expect(await door.claimedBy("holder")).toBeUndefined();
    expect(await door.readEvidence(undefined)).toBeUndefined();
    await expect(door.connectionOf("127.0.0.1:1")).rejects.toMatchObject({ code: "EDGE_UNREACHABLE" });
    expect(await read("live.map")).toBe(`${labelOf("1")} ${since.toISOString()}\n`);
    expect(await read("last-seen.map")).toBe(`${live} ${since.toISOString()}\n`);
    expect([said("warn"), said("info")]).toEqual([1, 0]);
    absence = undefined;
    await door.handOver(live);
    expect([said("warn"), said("info")]).toEqual([1, 1]);
    absence = how;
    await door.handOver(live);
    expect(said("warn")).toBe(2);
  });

  it(`12: ${isGone ? "is no obstacle to a block: nobody serves, and the next edge reads it" : "keeps a block from being acknowledged: it may still serve"}`, async () => {
    const calls = [
      () => door.block(live),
      () => door.unblock(live),
      () => door.blockNetwork(network),
      () => door.unblockNetwork(network),
      () => door.replaceAll(state),
    ];
    for (const call of calls) {
      if (isGone) await call();
      else await expect(call()).rejects.toMatchObject({ code: "EDGE_UNREACHABLE" });
    }
    expect(await read("blocked.map")).toMatch(new RegExp(`^${labelOf("3")} `));
    expect(await read("blocked-networks.map")).toMatch(/^2001:db8::\/32 \S+\n$/);
    expect(await read("live.map")).toBe(`${labelOf("2")} ${since.toISOString()}\n`);
  });

  it("12: has a block in its file that could not be acknowledged, and hears it when it is repeated", async () => {
    await door.block(live).catch(() => {});
    await door.blockNetwork(network).catch(() => {});
    expect(await read("blocked.map")).toMatch(new RegExp(`^${live} `));
    expect(await read("blocked-networks.map")).toMatch(/^192\.0\.2\.0\/24 /);
    absence = undefined;
    await door.block(live);
    await door.blockNetwork(network);
    expect(heard).toEqual(["block", "blockNetwork"]);
  });
});

it("what an edge says for other reasons is not its absence", async () => {
  absence = () => new Error("the edge failed");
  for (const call of [
    () => door.put({ label: live, since }),
    () => door.delete(live, leave),
    () => door.handOver(live),
    () => door.block(live),
    () => door.blockNetwork(network),
    () => door.replaceAll(state),
    () => door.cut("id"),
    () => door.connectionOf("127.0.0.1:1"),
  ]) {
    await expect(call()).rejects.toThrow("the edge failed");
  }
});

it("12: an edge that may have read the files before a slow disk had the block is told of it after all", async () => {
  await door.handOver(live);
  await door.unblock(live);
  heard = [];
  absence = () => {
    // Asked before the file is written: and by the time it is, the next edge is there.
    absence = undefined;
    return unreachable("ECONNREFUSED")();
  };
  const blocked = door.block(live);
  await new Promise(process.nextTick);
  keepBusy();
  await blocked;
  expect(heard).toEqual(["block"]);
  expect(await read("blocked.map")).toContain(live);
});

/** A turn longer than the door's patience with a disk: nothing of a file is written in it. */
function keepBusy(): void {
  const end = performance.now() + 250;
  while (performance.now() < end);
}
