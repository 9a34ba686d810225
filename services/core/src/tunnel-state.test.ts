import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EdgeFailure } from "./door.ts";
import { edgeFailures } from "./door.ts";
import type { SessionEnd } from "./store.ts";
import { deriveTunnelState, disconnectedReasons, type TunnelFacts, unroutableReasons } from "./tunnel-state.ts";

const nowMs = Date.parse("2026-11-22T12:00:00Z");
/** So many ms ago. */
const ago = (ms: number): Date => new Date(nowMs - ms);

/** A tunnel that everything speaks for. */
const well: TunnelFacts = {
  now: ago(0),
  lookedAt: ago(1000),
  isFrpsThere: true,
  isBlocked: false,
  isHandingOver: false,
  isLeaving: false,
  session: { connectedAt: ago(3_600_000), seenAt: ago(1000) },
  formerEnd: undefined,
  wasEverSeen: true,
  edgeHeardAt: ago(500),
  evidence: { at: ago(60_000), failure: undefined },
};
const nobody = { session: undefined, evidence: undefined, formerEnd: "closed" } as const;
const failed = (failure: EdgeFailure, ms = 100): Partial<TunnelFacts> => ({ evidence: { at: ago(ms), failure } });

const rows: readonly (readonly [string, Partial<TunnelFacts>, string, string | undefined])[] = [
  ["everything speaks for it", {}, "routable", undefined],
  ["nobody has visited it yet", { evidence: undefined }, "routable", undefined],
  ["it has just connected, before a look", { session: { connectedAt: ago(4000), seenAt: undefined } }, "routable", undefined],
  ["it connected, and no look has shown it", { session: { connectedAt: ago(5001), seenAt: undefined } }, "connected", "NOT_SHOWN"],
  ["it was shown, and not any more", { session: { connectedAt: ago(60_000), seenAt: ago(10_001) } }, "connected", "NOT_SHOWN"],
  ["nothing answers behind it", failed("APP_UNREACHABLE"), "connected", "APP_UNREACHABLE"],
  ["its app takes too long", failed("APP_TIMEOUT"), "connected", "APP_TIMEOUT"],
  ["its connection at the edge is gone", failed("CLIENT_LOST"), "connected", "CLIENT_LOST"],
  ["frps refuses connections", failed("SERVER_UNREACHABLE"), "connected", "SERVER_UNREACHABLE"],
  ["it failed a minute ago, and nobody has asked since", failed("APP_UNREACHABLE", 60_000), "routable", undefined],
  [
    "it failed for the session before",
    { session: { connectedAt: ago(50), seenAt: undefined }, ...failed("APP_UNREACHABLE", 51) },
    "routable",
    undefined,
  ],
  ["the edge has never answered", { edgeHeardAt: undefined }, "connected", "EDGE_AWAY"],
  ["the edge is silent", { edgeHeardAt: ago(5001) }, "connected", "EDGE_AWAY"],
  ["the dashboard is silent", { lookedAt: ago(10_001) }, "connected", "SERVER_SILENT"],
  ["the dashboard was never read", { lookedAt: undefined }, "connected", "SERVER_SILENT"],
  ["frps was gone after it connected", { isFrpsThere: false }, "offline", "LOST"],
  [
    "it connected after frps was gone",
    { isFrpsThere: false, session: { connectedAt: ago(500), seenAt: undefined } },
    "routable",
    undefined,
  ],
  ["it is blocked", { isBlocked: true }, "closing", "BLOCKED"],
  ["it is blocked, and nobody is there", { ...nobody, isBlocked: true }, "offline", "BLOCKED"],
  ["it logged in", { session: { connectedAt: undefined, seenAt: undefined } }, "admitted", "CONNECTING"],
  [
    "another one logged in and the former is gone",
    { isHandingOver: true, session: { connectedAt: undefined, seenAt: undefined } },
    "handing-over",
    "HANDING_OVER",
  ],
  ["the newcomer left before it connected", { ...nobody, isHandingOver: true }, "handing-over", "HANDING_OVER"],
  ["its eviction is under way", { ...nobody, formerEnd: "evicted", isLeaving: true }, "closing", "EVICTED"],
  ["its client closed it", nobody, "offline", "CLOSED"],
  ["it vanished", { ...nobody, formerEnd: "lost" }, "offline", "LOST"],
  ["it vanished with frps", { ...nobody, formerEnd: "lost", isFrpsThere: false }, "offline", "SERVER_AWAY"],
  ["it was displaced", { ...nobody, formerEnd: "displaced" }, "offline", "DISPLACED"],
  ["its token ended", { ...nobody, formerEnd: "expired" }, "offline", "EXPIRED"],
  ["nobody recorded its end", { ...nobody, formerEnd: undefined }, "offline", "LOST"],
  ["nobody ever served it", { ...nobody, formerEnd: undefined, wasEverSeen: false }, "offline", "NEVER_SEEN"],
  ["one logged in once and never served", { ...nobody, formerEnd: "lost", wasEverSeen: false }, "offline", "NEVER_SEEN"],
];

const date = fc.integer({ min: 0, max: 200_000 }).map(ago);
const maybe = fc.option(date, { nil: undefined });
const anyFacts: fc.Arbitrary<TunnelFacts> = fc.record({
  now: fc.constant(ago(0)),
  lookedAt: maybe,
  isFrpsThere: fc.boolean(),
  isBlocked: fc.boolean(),
  isHandingOver: fc.boolean(),
  isLeaving: fc.boolean(),
  session: fc.option(fc.record({ connectedAt: maybe, seenAt: maybe }), { nil: undefined }),
  formerEnd: fc.option(fc.constantFrom<SessionEnd>("closed", "displaced", "expired", "lost", "evicted"), { nil: undefined }),
  wasEverSeen: fc.boolean(),
  edgeHeardAt: maybe,
  evidence: fc.option(fc.record({ at: date, failure: fc.option(fc.constantFrom(...edgeFailures), { nil: undefined }) }), {
    nil: undefined,
  }),
});

describe("the state of a label", () => {
  it.each(rows)("%s", (_name, facts, state, reason) => {
    expect(deriveTunnelState({ ...well, ...facts })).toMatchObject({ state, reason });
  });

  it("is never routable without a living, connected session that frps and the edge speak for", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const judgement = deriveTunnelState(facts);
        if (judgement.state !== "routable") return;
        expect(facts.session?.connectedAt).toBeDefined();
        expect(judgement.isStale).toBe(false);
        expect(facts.isBlocked).toBe(false);
        expect(facts.lookedAt).toBeDefined();
        expect(facts.edgeHeardAt).toBeDefined();
      }),
      { numRuns: 5000 },
    );
  });

  it("is never connected when the session is gone, blocked, or died with frps", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const connectedAt = facts.session?.connectedAt;
        const isGone = connectedAt === undefined || facts.isBlocked;
        const isOutlived = !facts.isFrpsThere && facts.lookedAt !== undefined && connectedAt !== undefined && connectedAt < facts.lookedAt;
        if (isGone || isOutlived) expect(deriveTunnelState(facts).status).toBe("disconnected");
      }),
      { numRuns: 5000 },
    );
  });

  it("a failure that visitors meet now is never called routable, and has the last word until an answer", () => {
    fc.assert(
      fc.property(anyFacts, fc.constantFrom(...edgeFailures), (facts, failure) => {
        expect(deriveTunnelState({ ...facts, evidence: { at: facts.now, failure } }).state).not.toBe("routable");
      }),
    );
  });

  it("always has a reason of its closed list, unless it is routable; what was not looked at for ten seconds is stale", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { state, status, reason, isStale } = deriveTunnelState(facts);
        if (state === "routable") expect(reason).toBeUndefined();
        else expect(status === "connected" ? unroutableReasons : disconnectedReasons).toContain(reason);
        expect(isStale).toBe(facts.lookedAt === undefined || nowMs - facts.lookedAt.getTime() > 10_000);
      }),
    );
  });
});
