/** Connections that are only there: three thousand of them, of every depth that needs no token, and one that has had one. */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { countDescriptors, type HostileWorld, startHostileWorld } from "../support/hostile-world.ts";
import { connectRawSocket } from "../support/raw-frp-client.ts";
import { createRawMux, encodeMuxHeader } from "../support/raw-frp-mux.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let world: HostileWorld;
beforeAll(async () => {
  world = await startHostileWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

const count = 3000;
const batch = 100;
/** The honest client's visitors open more connections while everybody is busy, and those are kept for a while. */
const kept = 150;

/** Soft limit of open files of a process. */
const readFileLimit = (pid: number | "self"): number =>
  Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1] ?? 0);

describe.concurrent("idle connections", () => {
  it("4: three thousand idle connections keep nobody out, are ended by the edge, and leave nothing behind", async () => {
    const { keyhole } = world;
    const frpsPid = keyhole.frpsPid();
    // Ours are sockets of this process; each is one of Keyhole, and after TLS another one, to frps.
    for (const [who, pid, needed] of [
      ["this test", "self", count + 500],
      ["keyhole", keyhole.ready.pid, 2 * count + 500],
      ["frps", frpsPid, count + 500],
    ] as const) {
      expect(readFileLimit(pid), `${who} may open too few files for this test: raise ulimit -n`).toBeGreaterThanOrEqual(needed);
    }
    const before = { keyhole: countDescriptors(keyhole.ready.pid), frps: countDescriptors(frpsPid) };
    let open = 0;
    let ended = 0;
    const connect = async (index: number): Promise<void> => {
      const socket: Socket = await connectRawSocket({ port: keyhole.controlPort, isPlain: index % 3 === 0 });
      open += 1;
      socket.resume().once("close", () => (ended += 1));
      if (index % 3 !== 2) return;
      // A session of yamux that is alive: it asks and answers, and has no stream.
      createRawMux(socket);
      socket.write(encodeMuxHeader("ping", 1, 0, index));
    };
    for (let index = 0; index < count; index += batch) {
      await Promise.all(Array.from({ length: batch }, (_, at) => connect(index + at)));
    }
    const openedAt = performance.now();
    expect(open).toBe(count);
    expect(await world.timeGoodClient()).toBeLessThan(2000);
    await waitForFact("all are ended by the edge", () => (ended === count ? true : undefined), {
      timeoutMs: 17_000,
      everyMs: 50,
      describe: () => `${ended} of ${count} are`,
    });
    expect(performance.now() - openedAt).toBeLessThan(17_000);
    await waitForFact(
      "descriptors are as before",
      () =>
        countDescriptors(keyhole.ready.pid) <= before.keyhole + kept && countDescriptors(frpsPid) <= before.frps + kept ? true : undefined,
      { timeoutMs: 5000, describe: () => `keyhole ${countDescriptors(keyhole.ready.pid)}, frps ${countDescriptors(frpsPid)}` },
    );
  });

  it("4: a connection whose session has ended, because it registered nothing or closed what it had, is ended too", async () => {
    const [first, second] = [await world.makeTenant(), await world.makeTenant()];
    using silent = await world.logIn(first);
    using closing = await world.logIn(second);
    const name = `${second.label}.app`;
    expect(await closing.newProxy({ proxy_name: name, proxy_type: "http", subdomain: second.label })).toBe("");
    closing.closeProxy(name);
    const left = (): string[] => [...(silent.socket.destroyed ? [] : ["silent"]), ...(closing.socket.destroyed ? [] : ["closing"])];
    await waitForFact("both are ended", () => (left().length === 0 ? true : undefined), {
      timeoutMs: 25_000,
      everyMs: 50,
      describe: () =>
        `still open: ${left().join(", ")}; their control streams: ${silent.control.stream.destroyed} ${closing.control.stream.destroyed}`,
    });
  });
});
