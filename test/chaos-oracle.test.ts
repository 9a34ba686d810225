/** The oracle of `npm run chaos`: it sees what must not be, and is silent about what a kill excuses. */
import { describe, expect, it } from "vitest";
import type { HistoryEvent, Outcome, RequestEvent, TokenAnswer } from "./chaos/history.ts";
import { createOracle } from "./chaos/oracle.ts";
import { summarizeRecovery, timeBack } from "./chaos/recovery.ts";

const ttlSeconds = 60;
/** Seconds; events are told in ms after it. */
const epoch = 1_800_000_000;
const label = "0xaa";
const at = (ms: number): number => epoch * 1000 + ms;

const started = (client: string, ms: number, issuedAt = epoch): HistoryEvent => ({
  kind: "client-started",
  at: at(ms),
  label,
  client,
  issuedAt,
});
const established = (client: string, ms: number): HistoryEvent => ({ kind: "client-established", at: at(ms), label, client });
const ended = (client: string, ms: number): HistoryEvent => ({ kind: "client-killed", at: at(ms), label, client });
const killed = (part: "edge" | "plugin" | "supervisor", ms: number): HistoryEvent => ({ kind: "part-killed", at: at(ms), part });
const starting = (part: "edge" | "plugin", ms: number): HistoryEvent => ({ kind: "part-starting", at: at(ms), part });
const up = (part: "edge" | "plugin" | "token" | "supervisor", ms: number, pid = 1): HistoryEvent => ({
  kind: "part-up",
  at: at(ms),
  part,
  pid,
});
const frpsKilled = (ms: number, pid = 9): HistoryEvent => ({ kind: "frps-killed", at: at(ms), pid });
const frpsUp = (ms: number, pid: number): HistoryEvent => ({ kind: "frps-up", at: at(ms), pid });

const served = (client: string, of = label, nonce = "n"): Outcome => ({
  kind: "answered",
  status: 200,
  contentType: "application/json",
  app: { label: of, client, nonce },
  excerpt: "",
});
const problem = (status: number, code: string): Outcome => ({
  kind: "answered",
  status,
  contentType: "application/problem+json",
  code,
  excerpt: "",
});
const failed = (error: string, hadHead = false): Outcome => ({ kind: "failed", error, hadHead });
const request = (startedMs: number, outcome: Outcome, tookMs = 5): RequestEvent => ({
  kind: "request",
  at: at(startedMs + tookMs),
  startedAt: at(startedMs),
  label,
  method: "GET",
  nonce: "n",
  outcome,
});
const token = (askedMs: number, answer: Partial<TokenAnswer>): HistoryEvent[] => [
  { kind: "token-asked", at: at(askedMs), label },
  {
    kind: "token-answered",
    at: at(askedMs + 5),
    askedAt: at(askedMs),
    label,
    proof: "fresh",
    outcome: { kind: "answered", status: 200, contentType: "application/toml", excerpt: "" },
    ...answer,
  },
];
const granted = (askedMs: number, issuedAt: number): HistoryEvent[] =>
  token(askedMs, { grant: { issuedAt, expiresAt: issuedAt + ttlSeconds } });
const polled = (
  ms: number,
  states: Partial<Record<"edge" | "plugin" | "token" | "supervisor", { state: string; pid?: number }>>,
): HistoryEvent => {
  const well = { state: "up", pid: 1 };
  return {
    kind: "status-polled",
    at: at(ms + 50),
    startedAt: at(ms),
    states: { edge: well, plugin: well, token: well, supervisor: well, ...states },
  };
};

/** Tells it all in order, and hands back what was violated, as "rule: sentence". */
function judge(...events: readonly (HistoryEvent | readonly HistoryEvent[])[]): string[] {
  const oracle = createOracle({ ttlSeconds });
  for (const event of events.flat()) oracle.tell(event);
  return oracle.violations.map(({ rule, what }) => `${rule}: ${what}`);
}

/** A serves, then B comes and serves. */
const takenOver = [
  granted(0, epoch),
  started("A", 100),
  established("A", 300),
  request(400, served("A")),
  started("B", 1000),
  established("B", 1200),
  request(1300, served("B")),
].flat();

describe("whose answer it is", () => {
  it("1: an app of another label, of another request, or of nobody is no answer", () => {
    expect(judge(started("A", 0), request(10, served("A")))).toEqual([]);
    expect(judge(request(10, served("X", "0xbb")))).toEqual([expect.stringContaining("another label")]);
    expect(judge(request(10, served("A", label, "other")))).toEqual([expect.stringContaining("another request")]);
    const page: Outcome = { kind: "answered", status: 200, contentType: "text/html", excerpt: "<html>" };
    expect(judge(request(10, page))).toEqual([expect.stringContaining("of no app")]);
  });

  it("11: what is no app's is a problem of ours with its status; frp's page and a code that means something else are not", () => {
    for (const [status, code] of [
      [503, "TUNNEL_OFFLINE"],
      [503, "HANDOVER_IN_PROGRESS"],
      [502, "APP_UNREACHABLE"],
      [504, "APP_TIMEOUT"],
    ] as const)
      expect(judge(request(10, problem(status, code)))).toEqual([]);
    const page: Outcome = { kind: "answered", status: 404, contentType: "text/html", excerpt: "The page you requested was not found." };
    expect(judge(request(10, page))).toEqual([expect.stringContaining("no answer of ours")]);
    expect(judge(request(10, problem(500, "INTERNAL_ERROR")))).toHaveLength(1);
    expect(judge(request(10, problem(404, "UNKNOWN_HOST")))).toHaveLength(1);
  });

  it("a connection may break with the edge that had accepted it, and with nothing else", () => {
    expect(judge(killed("edge", 12), request(10, failed("ECONNRESET")))).toEqual([]);
    expect(judge(request(10, failed("ECONNRESET")))).toHaveLength(1);
    expect(judge(killed("edge", 0), request(2000, failed("ECONNRESET")))).toHaveLength(1);
    expect(judge(killed("plugin", 12), request(10, failed("ECONNRESET")))).toHaveLength(1);
    expect(judge(frpsKilled(12), request(10, failed("ECONNRESET")))).toHaveLength(1);
    expect(judge(frpsKilled(12), request(10, failed("ECONNRESET", true)))).toEqual([]);
  });

  it("a POST that reached an app does not reach one again", () => {
    expect(judge({ kind: "reached-again", at: at(0), label, client: "B", nonce: "n" })).toEqual([expect.stringContaining("twice")]);
  });
});

describe("who serves", () => {
  it("2: the one that was displaced does not answer once the newer one is established", () => {
    expect(judge(takenOver)).toEqual([]);
    expect(judge(takenOver, request(1400, served("A")))).toEqual([expect.stringContaining("two serve: answered by A, though B")]);
    const late = takenOver.filter((event) => event.kind !== "request" || event.startedAt < at(1000));
    expect(judge(late, request(1190, served("A"), 30))).toEqual([]);
    expect(judge(late, request(1210, served("A")))).toHaveLength(1);
  });

  it("2: after the edge, frps or the newer client was killed either may serve, until the newer one is established again", () => {
    for (const event of [killed("edge", 1400), frpsKilled(1400), ended("B", 1400)]) {
      expect(judge(takenOver, event, request(1500, served("A")))).toEqual([]);
    }
    expect(judge(takenOver, killed("plugin", 1400), request(1500, served("A")))).toHaveLength(1);
    expect(judge(takenOver, frpsKilled(1400), established("B", 1900), request(2000, served("A")))).toHaveLength(1);
    // Read so soon, the line is of the time before.
    expect(judge(takenOver, frpsKilled(1400), established("B", 1450), request(1500, served("A")))).toEqual([]);
    expect(judge(takenOver, frpsKilled(1400), request(1900, served("B")), request(2000, served("A")))).toHaveLength(1);
  });

  it("2: an older token does not outrank a newer one by coming later", () => {
    const newer = [granted(0, epoch), granted(50, epoch + 1), started("A", 100, epoch + 1), established("A", 300)].flat();
    expect(judge(newer, started("B", 1000, epoch), request(1300, served("A")))).toEqual([]);
    expect(judge(newer, started("B", 1000, epoch), request(1300, served("B")))).toHaveLength(1);
  });

  it("2: a renewal counts for who lived when it was bought: neither of two is surely first then", () => {
    const renewed = [granted(0, epoch), started("A", 100), established("A", 300), granted(400, epoch + 5)].flat();
    const both = [...renewed, started("B", 1000, epoch), established("B", 1200)];
    expect(judge(both, request(1300, served("A")))).toEqual([]);
    // With the newer token it is the later one.
    const handedOver = [...renewed, started("B", 1000, epoch + 5), established("B", 1200)];
    expect(judge(handedOver, request(1300, served("A")))).toHaveLength(1);
  });

  it("2: a renewal counts for nobody who was displaced", () => {
    expect(judge(takenOver, granted(1400, epoch + 5), request(2000, served("A")))).toHaveLength(1);
    expect(judge(takenOver, frpsKilled(1390), granted(1400, epoch + 5), established("B", 1900), request(2000, served("A")))).toEqual([]);
  });

  it("2: a token request without an answer may count too, until the next token says that it was before", () => {
    const doubtful = [
      granted(0, epoch),
      started("A", 100),
      established("A", 300),
      killed("edge", 401),
      token(400, { outcome: failed("ECONNRESET") }),
    ].flat();
    expect(judge(doubtful, started("B", 1000), established("B", 1200), request(1300, served("A")))).toEqual([]);
    const after = [
      ...doubtful,
      granted(500, epoch + 1),
      started("B", 1000, epoch + 1),
      established("B", 1200),
      established("A", 700),
    ].flat();
    expect(judge(after, request(1300, served("A")))).toHaveLength(1);
  });

  it("2: two clients of one key do not take turns, whatever their rank is", () => {
    const unclear = [granted(0, epoch), started("A", 100), started("B", 110), established("A", 300), established("B", 310)].flat();
    const turns = [request(400, served("A")), request(500, served("B")), request(600, served("A"))];
    expect(judge(unclear, turns.slice(0, 2))).toEqual([]);
    expect(judge(unclear, turns)).toEqual([expect.stringContaining("by A, then by B, then by A again")]);
    expect(judge(unclear, turns.slice(0, 2), frpsKilled(550), turns.slice(2))).toEqual([]);
  });

  it("2: whose time was up may come back after another, once a newer token was bought", () => {
    const until = [
      ...granted(-10, epoch),
      started("a", 0),
      established("a", 100),
      started("b", 200),
      established("b", 300),
      request(1000, served("b")),
      request(61_000, problem(503, "TUNNEL_OFFLINE")),
    ];
    const after = [...granted(62_000, epoch + 62), request(62_500, served("a")), established("b", 62_900), request(63_200, served("b"))];
    expect(judge(...until, ...after)).toEqual([]);
    expect(judge(...until, ...after, request(63_400, served("a")))).not.toEqual([]);
  });
});

describe("whose time is up", () => {
  const running = [up("plugin", 0), up("edge", 0), granted(0, epoch), started("A", 100), established("A", 300)].flat();

  it("12: is not answered by its app 2 s after the end of its newest token", () => {
    expect(judge(running, request(61_900, served("A")))).toEqual([]);
    expect(judge(running, request(62_100, served("A")))).toEqual([expect.stringContaining("2100 ms after")]);
    expect(judge(running, granted(30_000, epoch + 30), request(62_100, served("A")))).toEqual([]);
    expect(judge(running, granted(30_000, epoch + 30), request(92_100, served("A")))).toHaveLength(1);
  });

  it("12: has a little longer while plugin or edge were away, and while a renewal is under way", () => {
    for (const part of ["plugin", "edge"] as const) {
      const away = [...running, killed(part, 59_000), starting(part, 63_000)];
      expect(judge(away, request(63_500, served("A")))).toEqual([]);
      expect(judge(away, up(part, 64_000), request(66_400, served("A")))).toEqual([]);
      expect(judge(away, up(part, 64_000), request(66_600, served("A")))).toHaveLength(1);
    }
    expect(judge(running, { kind: "token-asked", at: at(59_000), label }, request(62_100, served("A")))).toEqual([]);
    expect(
      judge(
        running,
        killed("edge", 59_000),
        token(59_000, { outcome: failed("ECONNRESET") }),
        up("edge", 60_000),
        request(65_000, served("A")),
      ),
    ).toEqual([]);
  });
});

describe("tokens", () => {
  it("5: a proof buys one token, and a good one is not refused", () => {
    expect(judge(granted(0, epoch), token(100, { proof: "again-after-token", outcome: problem(400, "PROOF_ALREADY_USED") }))).toEqual([]);
    expect(
      judge(granted(0, epoch), token(100, { proof: "again-after-token", grant: { issuedAt: epoch + 1, expiresAt: epoch + 61 } })),
    ).toHaveLength(1);
    expect(judge(token(0, { outcome: problem(400, "PROOF_ALREADY_USED") }))).toHaveLength(1);
    expect(judge(token(0, { proof: "again-after-silence", outcome: problem(400, "PROOF_ALREADY_USED") }))).toEqual([]);
    expect(judge(token(0, { outcome: problem(400, "SIGNER_MISMATCH") }))).toHaveLength(1);
    expect(judge(token(0, { outcome: problem(503, "SERVICE_UNAVAILABLE") }))).toEqual([]);
    expect(judge(token(0, { outcome: problem(500, "INTERNAL_ERROR") }))).toHaveLength(1);
    expect(judge(token(0, { outcome: failed("TIMEOUT") }))).toHaveLength(1);
  });

  it("6: issued-at rises, and a token lives as long as it was promised", () => {
    expect(judge(granted(0, epoch), granted(100, epoch + 1))).toEqual([]);
    expect(judge(granted(0, epoch + 1), granted(100, epoch))).toHaveLength(1);
    expect(judge(granted(0, epoch), granted(100, epoch))).toHaveLength(1);
    expect(judge(token(0, { grant: { issuedAt: epoch, expiresAt: epoch + 61 } }))).toHaveLength(1);
  });
});

describe("parts", () => {
  const all = [up("edge", 0), up("plugin", 0), up("token", 0), up("supervisor", 0)];

  it("7: keyhole status says who is up and who is not", () => {
    expect(judge(all, polled(2000, {}))).toEqual([]);
    expect(judge(all, polled(2000, { plugin: { state: "silent" } }))).toHaveLength(1);
    expect(judge(all, polled(2000, { plugin: { state: "up", pid: 2 } }))).toHaveLength(1);
    expect(judge(all, killed("plugin", 1900), polled(2000, { plugin: { state: "down" } }))).toEqual([]);
    expect(judge(all, killed("plugin", 1900), polled(2000, {}))).toHaveLength(1);
    // It was killed or started while the question was under way: either is true.
    expect(judge(all, killed("plugin", 2010), polled(2000, {}))).toEqual([]);
    expect(judge(all, killed("plugin", 1000), starting("plugin", 1500), polled(2000, {}))).toEqual([]);
    expect(
      judge(all, killed("plugin", 1000), starting("plugin", 1500), up("plugin", 1800, 3), polled(2000, { plugin: { state: "down" } })),
    ).toEqual([]);
  });

  it("8: frps goes only when it is killed, or when it had only just been started as its supervisor was killed", () => {
    expect(judge(frpsUp(0, 9), frpsKilled(100), frpsUp(900, 10))).toEqual([]);
    expect(judge(frpsUp(0, 9), frpsUp(900, 10))).toEqual([expect.stringContaining("was replaced")]);
    expect(judge(frpsUp(0, 9), killed("supervisor", 100), frpsUp(900, 10))).toEqual([]);
    expect(judge(frpsUp(0, 9), killed("supervisor", 10_000), frpsUp(10_900, 10))).toHaveLength(1);
    expect(judge({ kind: "frps-counted", at: at(0), count: 2 })).toHaveLength(1);
  });

  it("7: what ends by itself, and who does not come back, is told with what happened around it", () => {
    const oracle = createOracle({ ttlSeconds });
    for (const event of [...takenOver, killed("edge", 1400)]) oracle.tell(event);
    oracle.tell({ kind: "not-back", at: at(61_400), label, detail: "not back" });
    oracle.tell({ kind: "part-died", at: at(61_500), part: "plugin", detail: "exit 1" });
    expect(oracle.violations.map(({ what }) => what)).toEqual(["not back", "plugin ended, and nobody had killed it: exit 1"]);
    expect(oracle.violations[0]?.evidence.map(({ kind }) => kind)).toEqual(["not-back", "part-died"]);
  });

  it("7: the loss of plugin and supervisor fails no request of a live tunnel", () => {
    const calm = [
      up("edge", 0),
      up("plugin", 0),
      granted(0, epoch),
      started("A", 100),
      request(400, served("A")),
      request(500, served("A")),
    ].flat();
    const refused = request(2000, problem(502, "APP_UNREACHABLE"));
    expect(judge(calm, killed("plugin", 1000), refused)).toEqual([expect.stringContaining("not served (502 APP_UNREACHABLE)")]);
    expect(judge(calm, killed("supervisor", 1000), refused)).toHaveLength(1);
    for (const event of [killed("edge", 1000), frpsKilled(1000), ended("A", 1000), started("B", 1000)])
      expect(judge(calm, event, refused)).toEqual([]);
    // Killed while it logged in, it may have displaced the other all the same; killed long ago, it has not.
    const ghost = [...calm, started("B", 1000), ended("B", 1100), request(1200, served("A"))];
    expect(judge(ghost, refused)).toEqual([]);
    expect(judge(ghost, request(3200, served("A")), request(3300, problem(503, "TUNNEL_OFFLINE")))).toHaveLength(1);
    expect(judge(calm, request(61_000, problem(503, "TUNNEL_OFFLINE")))).toEqual([]);
    // A request of which no answer came may have bought more time, or none.
    const unanswered = token(30_000, { outcome: failed("the edge was killed") });
    const later = request(61_000, problem(503, "TUNNEL_OFFLINE"));
    expect(judge(calm, killed("edge", 29_900), unanswered, request(31_000, served("A")), later)).toEqual([]);
    expect(judge(calm, granted(30_000, epoch + 30), request(31_000, served("A")), later)).toHaveLength(1);
  });
});

describe("the time to be back", () => {
  const good = (startedAt: number, tookMs = 5) => ({ startedAt, endedAt: startedAt + tookMs, isGood: true });
  const bad = (startedAt: number) => ({ startedAt, endedAt: startedAt + 5, isGood: false });

  it("is that of the first good answer after the last bad one, and none when nobody noticed anything", () => {
    expect(timeBack([good(0), good(100), good(200)], 50)).toBe(0);
    expect(timeBack([good(0), bad(100), good(150), bad(200), good(300)], 50)).toBe(255);
    expect(timeBack([good(0), good(60, 900), good(100)], 50)).toBe(910);
    expect(timeBack([good(0), bad(100)], 50)).toBe(Number.POSITIVE_INFINITY);
  });

  it("is summed up by what was killed", () => {
    const rounds = [
      { name: "a", killed: "edge", backMs: [0, 1000, 2000], movedBackMs: [] },
      { name: "b", killed: "edge", backMs: [0, 3000, 4000], movedBackMs: [5000] },
      { name: "c", killed: "several", backMs: [], movedBackMs: [7000] },
    ] as const;
    const [edge, several, moved] = summarizeRecovery(rounds);
    expect(edge).toMatchObject({ killed: "edge", rounds: 2, p50: 1000, max: 4000, half: 1000, all: 2000 });
    expect(edge?.unnoticed).toBeCloseTo(1 / 3);
    expect(several).toMatchObject({ killed: "several", rounds: 0 });
    expect(moved).toMatchObject({ killed: "clients moved too", rounds: 2, max: 7000 });
  });
});
