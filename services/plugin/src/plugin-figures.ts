/**
 * What the plugin counts and times, for metrics. Every name is one of a few that stand here: never a label, an address or
 * what a client wrote. A call of the hook costs one look-up and one short loop.
 */
import { type CredentialKind, createHistogram, createTally, type Histogram, type HistogramFigures, type SessionEnd } from "@keyhole/core";
import type { HookOp } from "@keyhole/frp";

/** How a client came to its session: by a credential, by a credential and its ticket, by its ticket alone, or it was served before this process began. */
export type StartMode = "new" | "resumed" | "ticket" | "adopted";

/**
 * The steps by which a client is put out, in their order: written durably, refused at the edge, confirmed to whoever asked,
 * its TCP connection ended, its session closed by frps, seen to be gone on the dashboard, and written into the events.
 */
export const evictionStages = ["recorded", "blocked", "acknowledged", "cut", "kicked", "confirmed", "event"] as const;
/** One of them. */
export type EvictionStage = (typeof evictionStages)[number];

/** What proves a credential of a kind. */
const schemes = { hmac: "hmac", jwt: "tunnel-jwt", claim: "eip191", "stellar-jwt": "stellar-jwt" } as const;

/** Up to the hook's own deadline, and beyond: what is slower than a second is a defect. */
const callBounds = [0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.95, 2.5];
const evictBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15];

/** The figures as they are now. Counts are by words with a space between them. */
export type PluginFigures = {
  /** `op result`; `none code` for what was not frps's protocol. */
  readonly calls: ReadonlyMap<string, number>;
  readonly callSeconds: Readonly<Record<HookOp, HistogramFigures>>;
  /** `kind mode result`. */
  readonly starts: ReadonlyMap<string, number>;
  readonly ends: ReadonlyMap<string, number>;
  /** `scheme result`; only where a signature was looked at. */
  readonly verifications: ReadonlyMap<string, number>;
  readonly evictions: Readonly<Record<EvictionStage, HistogramFigures>>;
};

/** Where the parts of a plugin write what they did. */
export type PluginRecorder = {
  call(op: HookOp | "none", result: string): void;
  /** Answered since so many ms by the monotonic clock. */
  answered(op: HookOp, startedMs: number): void;
  /** A client asked for a session; undefined: no credential was understood. */
  start(kind: CredentialKind | undefined, mode: StartMode, isAdmitted: boolean): void;
  end(how: SessionEnd): void;
  verified(kind: CredentialKind, isGood: boolean): void;
  /** One client reached the stage, so many seconds after its eviction was asked for. */
  evicted(stage: EvictionStage, seconds: number): void;
  readonly monotonicMs: () => number;
  read(): PluginFigures;
};

/** Makes a recorder with nothing recorded. */
export function createPluginRecorder(monotonicMs: () => number): PluginRecorder {
  const calls = createTally();
  const starts = createTally();
  const ends = createTally();
  const verifications = createTally();
  const callSeconds: Readonly<Record<HookOp, Histogram>> = {
    Login: createHistogram(callBounds),
    NewProxy: createHistogram(callBounds),
    CloseProxy: createHistogram(callBounds),
  };
  const evictions = Object.fromEntries(evictionStages.map((stage) => [stage, createHistogram(evictBounds)])) as Readonly<
    Record<EvictionStage, Histogram>
  >;
  return {
    call: (op, result) => calls.count(`${op} ${result}`),
    answered: (op, startedMs) => callSeconds[op].observe((monotonicMs() - startedMs) / 1000),
    start: (kind, mode, isAdmitted) => starts.count(`${kind ?? "none"} ${mode} ${isAdmitted ? "admitted" : "refused"}`),
    end: (how) => ends.count(how),
    verified: (kind, isGood) => verifications.count(`${schemes[kind]} ${isGood ? "valid" : "invalid"}`),
    evicted: (stage, seconds) => evictions[stage].observe(seconds),
    monotonicMs,
    read: () => ({
      calls: calls.counts,
      callSeconds: readAll(callSeconds),
      starts: starts.counts,
      ends: ends.counts,
      verifications: verifications.counts,
      evictions: readAll(evictions),
    }),
  };
}

function readAll<Name extends string>(histograms: Readonly<Record<Name, Histogram>>): Readonly<Record<Name, HistogramFigures>> {
  const read = Object.entries<Histogram>(histograms).map(([name, histogram]) => [name, histogram.read()]);
  return Object.fromEntries(read) as Readonly<Record<Name, HistogramFigures>>;
}
