/** The judge of a race, on histories that keep and that break each promise. */
import { describe, expect, it } from "vitest";
import type { AdmittedLogin, BoughtToken, Order, Served } from "./race/history.ts";
import { judgeRace } from "./race/race-oracle.ts";

const label = "0xa";
const login = (id: string, askedAt: number, change: Partial<AdmittedLogin> = {}): AdmittedLogin => ({
  id,
  label,
  askedAt,
  answeredAt: askedAt + 10,
  generation: askedAt,
  issuedAt: 100,
  credentialIssuedAt: 100,
  endingAt: undefined,
  ...change,
});
const served = (by: string, startedAt: number, endedAt = startedAt + 5): Served => ({ label, startedAt, endedAt, status: 200, by });
const order = (what: Order["what"], askedAt: number, change: Partial<Order> = {}): Order => ({
  what,
  label,
  askedAt,
  answeredAt: askedAt + 10,
  isEnforced: true,
  ...change,
});
const rulesOf = (history: {
  logins: readonly AdmittedLogin[];
  served: readonly Served[];
  orders?: readonly Order[];
  tokens?: readonly BoughtToken[];
}): string[] => judgeRace({ orders: [], tokens: [], ...history }).map(({ rule }) => rule);

describe("a login that was answered", () => {
  it("has displaced everybody who was admitted before it was asked for, for every request that starts afterwards", () => {
    const logins = [login("a", 0), login("b", 100)];
    expect(rulesOf({ logins, served: [served("a", 50), served("a", 105, 300), served("b", 111)] })).toEqual([]);
    expect(rulesOf({ logins, served: [served("a", 111)] })).toEqual(["displaced"]);
    // Also when the newcomer has left since: who was displaced does not come back without a login.
    const left = [login("a", 0), login("b", 100, { endingAt: 120 })];
    expect(rulesOf({ logins: left, served: [served("a", 200)] })).toEqual(["displaced"]);
  });

  it("that overlapped with another one serves only if the other one does not rank above it, and live", () => {
    const low = login("low", 0, { answeredAt: 50 });
    const high = login("high", 20, { answeredAt: 40, generation: 5000 });
    expect(rulesOf({ logins: [low, high], served: [served("high", 60)] })).toEqual([]);
    expect(rulesOf({ logins: [low, high], served: [served("low", 60)] })).toEqual(["rank"]);
    expect(rulesOf({ logins: [low, { ...high, endingAt: 62 }], served: [served("low", 60)] })).toEqual([]);
    // A token that was bought meanwhile may have raised the other.
    const tokens = [{ label, askedAt: 55, issuedAt: 101 }];
    expect(rulesOf({ logins: [low, high], served: [served("low", 60)], tokens })).toEqual([]);
  });

  it("was not below a higher rank that lived all the time", () => {
    const owner = login("owner", 0, { issuedAt: 200, credentialIssuedAt: 200 });
    const thief = login("thief", 100);
    expect(rulesOf({ logins: [owner, thief], served: [] })).toEqual(["admission"]);
    expect(rulesOf({ logins: [{ ...owner, endingAt: 105 }, thief], served: [] })).toEqual([]);
    expect(rulesOf({ logins: [owner, thief], served: [], orders: [order("kick", 50)] })).toEqual([]);
  });
});

describe("an order that was answered", () => {
  const revoke = order("revoke", 100, { notBefore: 101 });

  it("revokes what was issued before, and nothing else, for every request that starts afterwards", () => {
    const logins = [login("a", 0)];
    expect(rulesOf({ logins, served: [served("a", 105, 200)], orders: [revoke] })).toEqual([]);
    expect(rulesOf({ logins, served: [served("a", 111)], orders: [revoke] })).toEqual(["revoke"]);
    expect(rulesOf({ logins, served: [served("a", 111)], orders: [{ ...revoke, what: "owner-revoke" }] })).toEqual(["owner-revoke"]);
    expect(rulesOf({ logins: [login("a", 0, { credentialIssuedAt: 101 })], served: [served("a", 111)], orders: [revoke] })).toEqual([]);
  });

  it("and could not be enforced at once has two seconds", () => {
    const later = { ...revoke, isEnforced: false };
    expect(rulesOf({ logins: [login("a", 0)], served: [served("a", 2099)], orders: [later] })).toEqual([]);
    expect(rulesOf({ logins: [login("a", 0)], served: [served("a", 2101)], orders: [later] })).toEqual(["revoke"]);
  });

  it("kicks who was there, and nobody who came later", () => {
    const logins = [login("a", 0), login("b", 200)];
    expect(rulesOf({ logins, served: [served("a", 120)], orders: [order("kick", 100)] })).toEqual(["kick"]);
    expect(rulesOf({ logins, served: [served("b", 220)], orders: [order("kick", 100)] })).toEqual([]);
  });

  it("blocks everybody until it is lifted", () => {
    const logins = [login("b", 200)];
    expect(rulesOf({ logins, served: [served("b", 220)], orders: [order("block", 100)] })).toEqual(["block"]);
    expect(rulesOf({ logins, served: [served("b", 220)], orders: [order("block", 100), order("unblock", 150)] })).toEqual([]);
    expect(rulesOf({ logins, served: [served("b", 220)], orders: [order("block", 160), order("unblock", 140)] })).toEqual(["block"]);
  });
});

it("nobody serves who was never admitted for the address", () => {
  expect(rulesOf({ logins: [login("a", 0)], served: [served("stranger", 50)] })).toEqual(["stranger"]);
});
