/** What one address may have of the control port, whatever it writes itself as; what is refused is counted and told once a minute. */
import { describe, expect, it } from "vitest";
import { countedNetwork } from "./addresses.ts";
import { createControlDoorkeeper } from "./control-limits.ts";

function makeDoorkeeper(limits: { connectionsPerAddress: number; loginsPerAddressPerMinute: number }) {
  const clock = { at: Date.parse("2026-11-22T12:00:00Z") };
  const lines: object[] = [];
  const note = (fields: object, message: string): void => void lines.push({ ...fields, message });
  const doorkeeper = createControlDoorkeeper(limits, {
    isBlocked: () => false,
    now: () => new Date(clock.at),
    log: { debug() {}, info() {}, warn: note, error() {} },
  });
  return { doorkeeper, clock, lines };
}

describe("what an address is counted with", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:DB8:0:0:ffff::2", "2001:db8:0:0::/64"],
    ["2001:db8:0:1::1", "2001:db8:0:1::/64"],
    ["1::2:3:4:5:6", "1:0:0:2::/64"],
    ["1:2:3:4:5:6:7::", "1:2:3:4::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["no address", "unknown"],
  ])("%s: %s", (address, network) => {
    expect(countedNetwork(address)).toBe(network);
  });
});

describe("connections at once", () => {
  it("an address that has all of its own gets one more only when one is given up, and no other address notices", () => {
    const { doorkeeper } = makeDoorkeeper({ connectionsPerAddress: 2, loginsPerAddressPerMinute: 100 });
    const held = [doorkeeper.admit("192.0.2.1"), doorkeeper.admit("::ffff:192.0.2.1")];
    expect(held).toEqual([expect.any(Function), expect.any(Function)]);
    expect(doorkeeper.admit("192.0.2.1")).toBeUndefined();
    expect(doorkeeper.admit("192.0.2.2")).toBeDefined();
    held[0]?.();
    expect(doorkeeper.admit("192.0.2.1")).toBeDefined();
    expect(doorkeeper.admit("192.0.2.1")).toBeUndefined();
    expect(doorkeeper.refusals()).toEqual({ connections: 2, logins: 0 });
  });

  it("fifty addresses of one /64 are one, the next /64 is another, and this machine is nobody special", () => {
    const { doorkeeper } = makeDoorkeeper({ connectionsPerAddress: 1, loginsPerAddressPerMinute: 100 });
    const admitted = Array.from({ length: 50 }, (_, index) => doorkeeper.admit(`2001:db8::${index + 1}`)).filter(Boolean);
    expect(admitted).toHaveLength(1);
    expect(doorkeeper.admit("2001:db8:0:1::1")).toBeDefined();
    for (const own of ["127.0.0.1", "::1"]) expect([doorkeeper.admit(own) !== undefined, doorkeeper.admit(own)]).toEqual([true, undefined]);
  });
});

describe("a minute", () => {
  it("new connections and logins have the limit each, and come back as time goes by", () => {
    const { doorkeeper, clock } = makeDoorkeeper({ connectionsPerAddress: 100, loginsPerAddressPerMinute: 3 });
    for (let count = 0; count < 3; count += 1) {
      doorkeeper.admit("192.0.2.1")?.();
      expect(doorkeeper.countLogin("192.0.2.1")).toBeUndefined();
    }
    expect([doorkeeper.admit("192.0.2.1"), doorkeeper.countLogin("192.0.2.1")]).toEqual([undefined, 20]);
    expect(doorkeeper.countLogin("192.0.2.2")).toBeUndefined();
    clock.at += 20_000;
    expect([doorkeeper.countLogin("192.0.2.1"), doorkeeper.admit("192.0.2.1")]).toEqual([undefined, expect.any(Function)]);
    expect(doorkeeper.refusals()).toEqual({ connections: 1, logins: 1 });
  });

  it("9: each kind of refusal is told at most once, with how many there were and the network, not the address", () => {
    const { doorkeeper, clock, lines } = makeDoorkeeper({ connectionsPerAddress: 1, loginsPerAddressPerMinute: 1 });
    const flood = (): void => {
      for (let count = 0; count < 500; count += 1) {
        doorkeeper.admit("198.51.100.77");
        doorkeeper.countLogin("2001:db8:1:2:3::4");
      }
    };
    flood();
    expect(lines).toEqual([
      { network: "198.51.100.0/24", refusals: 1, message: "a control connection was refused: its address has too many" },
      { network: "2001:db8:1:0::/56", refusals: 1, message: "a login is to be refused: its address logs in too often" },
    ]);
    clock.at += 61_000;
    flood();
    expect(lines.slice(2)).toMatchObject([{ refusals: 499 }, { refusals: 499 }]);
    // Set back by a year: told again, not silent for a year.
    clock.at -= 31_536_000_000;
    flood();
    expect(lines).toHaveLength(6);
  });
});
