/** The oracle's rule about orders: what was acknowledged stays done, and what was not acknowledged is no promise. */
import { describe, expect, it } from "vitest";
import type { HistoryEvent, Outcome } from "./chaos/history.ts";
import { createOracle } from "./chaos/oracle.ts";

const epoch = 1_800_000_000;
const label = "0xaa";
const at = (ms: number): number => epoch * 1000 + ms;
const started = (client: string, ms: number, issuedAt: number): HistoryEvent => ({
  kind: "client-started",
  at: at(ms),
  label,
  client,
  issuedAt,
});
const up = (part: "edge" | "plugin", ms: number): HistoryEvent => ({ kind: "part-up", at: at(ms), part, pid: 1 });
const killed = (part: "edge" | "plugin", ms: number): HistoryEvent => ({ kind: "part-killed", at: at(ms), part });
const starting = (part: "edge" | "plugin", ms: number): HistoryEvent => ({ kind: "part-starting", at: at(ms), part });
type What = (HistoryEvent & { readonly kind: "order-answered" })["what"];
const ordered = (what: What, ms: number, isEnforced = true): HistoryEvent[] => [
  { kind: "order-asked", at: at(ms), label, what },
  { kind: "order-answered", at: at(ms + 100), askedAt: at(ms), label, what, isEnforced },
];
const request = (startedMs: number, client: string | undefined): HistoryEvent => {
  const outcome: Outcome =
    client === undefined
      ? { kind: "answered", status: 403, contentType: "application/problem+json", code: "ADDRESS_BLOCKED", excerpt: "" }
      : { kind: "answered", status: 200, contentType: "application/json", app: { label, client, nonce: "n" }, excerpt: "" };
  return { kind: "request", at: at(startedMs + 5), startedAt: at(startedMs), label, method: "GET", nonce: "n", outcome };
};
type Nested = HistoryEvent | readonly Nested[];
const flatten = (events: Nested): readonly HistoryEvent[] => ("kind" in events ? [events] : events.flatMap(flatten));
/** What was said about orders, of all that was violated. */
function judge(...events: readonly Nested[]): string[] {
  const oracle = createOracle({ ttlSeconds: 60 });
  for (const event of flatten([up("plugin", -9000), up("edge", -9000), ...events])) oracle.tell(event);
  return oracle.violations.filter(({ rule }) => rule === "undone" || rule === "wrong answer").map(({ what }) => what);
}

describe("an order that was acknowledged", () => {
  it.each(["revoke", "owner-revoke"] as const)("%s: ends whoever had a token of before, for good, and nobody who signed since", (what) => {
    const before = [started("A", 0, epoch), ordered(what, 5000)];
    expect(judge(before, request(5050, "A"))).toEqual([]);
    expect(judge(before, request(5101, "A"))).toEqual([expect.stringContaining("after that was revoked")]);
    expect(judge(before, killed("plugin", 6000), starting("plugin", 6100), up("plugin", 7000), request(90_000, "A"))).toHaveLength(1);
    expect(judge(before, started("B", 6000, epoch + 8), request(9000, "B"))).toEqual([]);
  });

  it("that could only be recorded has until shortly after the plugin is back", () => {
    const recorded = [started("A", 0, epoch), killed("plugin", 4000), ordered("revoke", 5000, false)];
    expect(judge(recorded, request(60_000, "A"))).toEqual([]);
    const back = [recorded, starting("plugin", 70_000), up("plugin", 71_000)];
    expect(judge(back, request(73_400, "A"))).toEqual([]);
    expect(judge(back, request(73_600, "A"))).toHaveLength(1);
  });

  it("block: nobody serves until it is lifted, and before it nobody is told to be blocked", () => {
    const blocked = ordered("block", 5000);
    expect(judge(started("A", 0, epoch), blocked, request(5200, "A"))).toEqual([expect.stringContaining("was blocked")]);
    expect(judge(started("A", 0, epoch), blocked, request(5200, undefined), ordered("unblock", 9000), request(9050, "A"))).toEqual([]);
    expect(judge(started("A", 0, epoch), request(5200, undefined))).toEqual([expect.stringContaining("nobody had blocked it")]);
  });

  it("kick: is no ban", () => {
    expect(judge(started("A", 0, epoch), ordered("kick", 5000), request(6000, "A"))).toEqual([]);
  });
});

it("after a backup was put in place nobody serves who was let in before", () => {
  const restored: HistoryEvent = { kind: "restored", at: at(9000), startedAt: at(8000) };
  const back = [started("A", 0, epoch), killed("plugin", 7000), restored, starting("plugin", 9100), up("plugin", 10_000)];
  expect(judge(back, request(12_000, "A"))).toEqual([]);
  expect(judge(back, request(12_600, "A"))).toHaveLength(1);
  expect(judge(back, started("B", 11_000, epoch + 12), request(13_000, "B"))).toEqual([]);
});
