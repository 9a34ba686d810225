/** What one address may have of port 7000: refused before TLS when it has too much, and told to the plugin when it logs in too often. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { NodeEdge } from "@keyhole/edge";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { first } from "./edge-certificates.ts";
import { eventually, type Harness, hostOf, live, openHarness, visit } from "./edge-harness.ts";

let harness: Harness;
beforeEach(async () => {
  harness = await openHarness();
  // As frps does: what ends on one side ends.
  harness.frps.control.on("connection", (socket) => socket.resume().on("end", () => socket.end()));
});
afterEach(() => harness[Symbol.asyncDispose]());

const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});
/** Loopback has many addresses: each is a client of its own. */
function dial(edge: NodeEdge, localAddress = "127.0.0.1"): TLSSocket {
  const socket = connect({ host: "127.0.0.1", port: edge.controlPort, localAddress });
  const client = connectTls({ socket, ca: first.cert, servername: "localhost" });
  client.on("error", () => {}).resume();
  opened.push(client);
  return client;
}
/** Whether it gets TLS, or is closed without an answer. */
async function isLetIn(client: TLSSocket): Promise<boolean> {
  return await Promise.race([
    new Promise<true>((resolve) => client.once("secureConnect", () => resolve(true))),
    new Promise<false>((resolve) => client.once("close", () => resolve(false))),
  ]);
}
const warnings = (text: string) => harness.logged.filter(({ level, message }) => level === "warn" && message.includes(text));

describe("connections at once", () => {
  it("one more than the limit is closed without TLS, others are served, and a place that is given up is had again", async () => {
    const edge = await harness.again({ limits: { connectionsPerAddress: 3, loginsPerAddressPerMinute: 1000 } });
    const held = [dial(edge), dial(edge), dial(edge)];
    expect(await Promise.all(held.map(isLetIn))).toEqual([true, true, true]);
    const surplus = dial(edge);
    let received = 0;
    surplus.on("data", () => {
      received += 1;
    });
    expect([await isLetIn(surplus), received, edge.stats().refusedConnectionsTotal]).toEqual([false, 0, 1]);
    expect(await isLetIn(dial(edge, "127.0.0.2"))).toBe(true);
    // Visitors are not counted: only the control port is.
    expect((await visit(edge, hostOf(live))).status).toBe(200);
    held[0]?.destroy();
    await eventually("the place is free", async () => await isLetIn(dial(edge)));
  });

  it("what has not even begun TLS counts, so that silence cannot take more than its share", async () => {
    const edge = await harness.again({ limits: { connectionsPerAddress: 2, loginsPerAddressPerMinute: 1000 } });
    const silent = [1, 2].map(() => connect({ host: "127.0.0.1", port: edge.controlPort }).on("error", () => {}));
    opened.push(...silent);
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    await eventually("they are counted", async () => !(await isLetIn(dial(edge))));
    expect(await isLetIn(dial(edge, "127.0.0.2"))).toBe(true);
    for (const socket of silent) socket.destroy();
    // At the latest when the handshake should have been done.
    await eventually("they are forgotten", async () => await isLetIn(dial(edge)), 10_000);
  });

  it("9: a flood of one address is logged once, with its network", async () => {
    const edge = await harness.again({ limits: { connectionsPerAddress: 1, loginsPerAddressPerMinute: 1000 } });
    expect(await isLetIn(dial(edge))).toBe(true);
    const flood = Array.from({ length: 100 }, () => isLetIn(dial(edge)));
    expect((await Promise.all(flood)).filter(Boolean)).toEqual([]);
    expect(edge.stats().refusedConnectionsTotal).toBe(100);
    expect(warnings("has too many")).toMatchObject([{ fields: { network: "127.0.0.0/24", refusals: 1 } }]);
  });
});

describe("a minute", () => {
  it("connections beyond the limit are closed without TLS, of that address alone", async () => {
    const edge = await harness.again({ limits: { connectionsPerAddress: 100, loginsPerAddressPerMinute: 5 } });
    const results: boolean[] = [];
    for (let count = 0; count < 8; count += 1) {
      const client = dial(edge);
      results.push(await isLetIn(client));
      client.destroy();
    }
    expect(results).toEqual([true, true, true, true, true, false, false, false]);
    expect([edge.stats().refusedConnectionsTotal, warnings("connects too often").length]).toEqual([3, 1]);
    expect(await isLetIn(dial(edge, "127.0.0.2"))).toBe(true);
  });

  it("logins beyond the limit are told as such, over all connections of the address, and of no other", async () => {
    const clock = { at: new Date("2026-11-22T12:00:00Z") };
    const edge = await harness.again({ limits: { connectionsPerAddress: 100, loginsPerAddressPerMinute: 4 }, now: () => clock.at });
    const open = async (localAddress: string): Promise<string> => {
      const accepted = once(harness.frps.control, "connection");
      expect(await isLetIn(dial(edge, localAddress))).toBe(true);
      const [frps] = (await accepted) as [Socket];
      const address = `${frps.remoteAddress}:${frps.remotePort}`;
      await eventually("it is known", () => edge.stats().controlConnections === opened.length);
      return address;
    };
    const [one, two, other] = [await open("127.0.0.1"), await open("127.0.0.1"), await open("127.0.0.3")];
    const ask = async (address: string) => (await edge.runtime.connectionOf(address))?.retryAfterSeconds;
    // Nobody is known under this address, so nobody logs in.
    expect(await edge.runtime.connectionOf("127.0.0.1:1")).toBeUndefined();
    expect([await ask(one), await ask(two), await ask(one), await ask(two)]).toEqual([undefined, undefined, undefined, undefined]);
    expect([await ask(one), await ask(two), await ask(other)]).toEqual([15, 15, undefined]);
    expect(edge.stats().limitedLoginsTotal).toBe(2);
    expect(warnings("logs in too often")).toHaveLength(1);
    clock.at = new Date(clock.at.getTime() + 15_000);
    expect([await ask(one), await ask(two)]).toEqual([undefined, 15]);
  });
});
