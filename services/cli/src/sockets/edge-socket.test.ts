import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Door, type DoorState, Fault, type Label, type Network, parseLabel, parseNetwork } from "@keyhole/core";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Log } from "../log.ts";
import { connectEdge, type EdgeConnection, serveEdgeCalls } from "./edge-socket.ts";
import { createSocketClient } from "./socket-client.ts";
import { socketPath } from "./socket-path.ts";
import { startSocketServer } from "./socket-server.ts";

const alice = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
const network = parseNetwork("2001:db8::/32") as Network;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const since = new Date("2026-11-22T12:00:00.123Z");

let dir = "";
let stack = new AsyncDisposableStack();
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-sockets-"));
  stack = new AsyncDisposableStack();
});
afterEach(async () => {
  await stack.disposeAsync();
  rmSync(dir, { recursive: true, force: true });
});

const path = (): string => join(dir, "edge.sock");

const evidence = [
  { label: alice, at: since, failure: "APP_UNREACHABLE" },
  { label: alice, at: since, failure: undefined },
] as const;

/** An edge that writes down what it is told. */
async function startEdge(calls: unknown[], slow?: Promise<void>): Promise<AsyncDisposable> {
  const hear =
    (method: string) =>
    async (...args: unknown[]): Promise<void> => {
      await slow;
      calls.push([method, ...args]);
    };
  const runtime: Door = {
    put: hear("put"),
    delete: hear("delete"),
    replaceAll: hear("replaceAll"),
    handOver: hear("handOver"),
    block: hear("block"),
    unblock: hear("unblock"),
    blockNetwork: hear("blockNetwork"),
    unblockNetwork: hear("unblockNetwork"),
    claim: hear("claim"),
    release: hear("release"),
    keepOnly: hear("keepOnly"),
    cut: async (id) => id === "known",
    readEvidence: async (cursor) => {
      await slow;
      return cursor === undefined ? { cursor: "1 2", evidence, isMore: true } : { cursor, evidence: [], isMore: false };
    },
    claimedBy: async (holder) => (holder === "holder" ? "7-1" : undefined),
    connectionOf: async (address) =>
      address === "127.0.0.1:4"
        ? { id: "7-1", source: "10.0.0.1:5" }
        : address === "127.0.0.1:6"
          ? { id: "7-2", source: "10.0.0.1:7", retryAfterSeconds: 3 }
          : undefined,
  };
  const app = new Hono();
  serveEdgeCalls(app, Promise.resolve(runtime));
  return await startSocketServer({ path: path(), app, isShared: true, log: silent });
}

function connect(onEdge: () => Promise<void> = async () => {}): EdgeConnection {
  return stack.use(connectEdge({ path: path(), onEdge, log: silent }));
}

async function eventually(fact: () => boolean): Promise<void> {
  for (let round = 0; round < 500 && !fact(); round += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(fact()).toBe(true);
}

describe("edge.sock", () => {
  it("carries every call to the running edge, whole and in the order of the calls", async () => {
    const calls: unknown[] = [];
    stack.use(await startEdge(calls));
    const { runtime } = connect();
    const state: DoorState = {
      live: [{ label: alice, since }],
      lastSeen: new Map([[alice, since]]),
      blocked: new Set([alice]),
      blockedNetworks: new Set([network]),
    };
    await Promise.all([
      runtime.put({ label: alice, since }),
      runtime.handOver(alice),
      runtime.delete(alice, { lastSeen: since, reason: "ended" }),
      runtime.block(alice),
      runtime.unblock(alice),
      runtime.blockNetwork(network),
      runtime.unblockNetwork(network),
      runtime.claim("7-1", { holder: "holder", label: alice }),
      runtime.release("7-1"),
      runtime.keepOnly(new Set(["holder"])),
      runtime.replaceAll(state),
    ]);
    expect(calls).toEqual([
      ["put", { label: alice, since }],
      ["handOver", alice],
      ["delete", alice, { lastSeen: since, reason: "ended" }],
      ["block", alice],
      ["unblock", alice],
      ["blockNetwork", network],
      ["unblockNetwork", network],
      ["claim", "7-1", { holder: "holder", label: alice }],
      ["release", "7-1"],
      ["keepOnly", new Set(["holder"])],
      ["replaceAll", state],
    ]);
    expect(await Promise.all([runtime.cut("known"), runtime.cut("gone")])).toEqual([true, false]);
    expect(await Promise.all([runtime.claimedBy("holder"), runtime.claimedBy("x")])).toEqual(["7-1", undefined]);
    expect(await runtime.connectionOf("127.0.0.1:4")).toEqual({ id: "7-1", source: "10.0.0.1:5" });
    expect(await runtime.connectionOf("127.0.0.1:6")).toEqual({ id: "7-2", source: "10.0.0.1:7", retryAfterSeconds: 3 });
    expect(await runtime.connectionOf("127.0.0.1:5")).toBeUndefined();
    expect(await runtime.readEvidence(undefined)).toEqual({ cursor: "1 2", evidence, isMore: true });
    expect(await runtime.readEvidence("1 2")).toEqual({ cursor: "1 2", evidence: [], isMore: false });
  });

  it("10: is for the owner and the group alone", async () => {
    stack.use(await startEdge([]));
    expect(statSync(path()).mode & 0o777).toBe(0o660);
  });

  it("7: an edge that is away is told as that, and when one is there everything is pushed, before and after a restart", async () => {
    let pushes = 0;
    const edge = connect(async () => {
      pushes += 1;
    });
    const refused = await edge.runtime.put({ label: alice, since }).catch((fault: unknown) => fault);
    expect(refused).toBeInstanceOf(Fault);
    expect(refused).toMatchObject({ code: "EDGE_UNREACHABLE", cause: { code: "ENOENT" } });
    expect(edge.isThere()).toBe(false);

    const first = await startEdge([]);
    await eventually(() => edge.isThere());
    expect(pushes).toBe(1);
    await first[Symbol.asyncDispose]();
    await eventually(() => !edge.isThere());

    const calls: unknown[] = [];
    stack.use(await startEdge(calls));
    await eventually(() => edge.isThere());
    expect(pushes).toBe(2);
    await edge.runtime.put({ label: alice, since });
    expect(calls).toHaveLength(1);
  });

  it("7: a push that fails is tried again", async () => {
    let pushes = 0;
    const edge = connect(async () => {
      pushes += 1;
      if (pushes < 3) throw new Error("not yet");
    });
    stack.use(await startEdge([]));
    await eventually(() => edge.isThere());
    expect(pushes).toBe(3);
  });

  it("an edge that does not answer is given up after half a second, and is not taken for one that is away", async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(path(), resolve));
    stack.defer(() => void server.close());
    const { runtime } = connect();
    const fault = await runtime.block(alice).catch((cause: unknown) => cause);
    expect(fault).toMatchObject({ code: "EDGE_UNREACHABLE" });
    expect(String((fault as { cause?: { code?: unknown } }).cause?.code)).not.toMatch(/ECONNREFUSED|ENOENT/);
  });

  it("refuses what is no batch of calls", async () => {
    stack.use(await startEdge([]));
    const client = stack.use(createSocketClient(path()));
    for (const body of [
      {},
      { calls: [{ method: "open" }] },
      { calls: [{ method: "put", label: "x", since: "now" }] },
      { calls: [{ method: "cut", connectionId: "a", more: 1 }] },
      { calls: [{ method: "blockNetwork", network: "0.0.0.0/0" }] },
      { calls: [{ method: "replaceAll", live: [], lastSeen: [], blocked: [], blockedNetworks: ["localhost"] }] },
    ])
      await expect(client.call("POST", "/calls", body)).rejects.toMatchObject({ kind: "refused", message: expect.stringContaining("400") });
    await expect(client.call("GET", "/nothing")).rejects.toMatchObject({ kind: "refused" });
  });
});

describe("the path of a socket", () => {
  it("is refused with what to do when the kernel cannot take it, and is told by the shorter of its names otherwise", () => {
    expect(() => socketPath(`/srv/${"x".repeat(120)}`, "edge")).toThrow("Give stateDir a shorter path");
    expect(socketPath(join(process.cwd(), "y".repeat(90)), "edge")).toBe(`${"y".repeat(90)}/run/edge.sock`);
    expect(socketPath("/a", "token")).toBe("/a/run/token.sock");
  });
});
