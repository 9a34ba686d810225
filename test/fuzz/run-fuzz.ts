/**
 * A run: every surface gets its part of the inputs, in small portions in turn, until they are used up or the time is. What
 * breaks a promise is kept with the smallest input that does. Input n of a surface depends on the seed, the surface and n,
 * and on nothing else.
 */
import { createPrng } from "../chaos/prng.ts";
import { shrinkInput } from "./shrink.ts";
import type { Outcome, Problem, ProblemKind, Surface } from "./surface.ts";

/** How much, and of what. */
export type FuzzOptions = {
  readonly seed: number;
  readonly inputs: number;
  readonly minutes: number;
  /** Input numbers begin here: with `inputs` 1, one input is tried again. */
  readonly from?: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** A broken promise, and the smallest input that broke it. */
export type Finding = {
  readonly surface: string;
  readonly index: number;
  readonly seed: number;
  readonly kind: ProblemKind;
  readonly what: string;
  /** How many inputs broke it. */
  readonly count: number;
  readonly input: Uint8Array;
};

/** What one surface said. */
type SurfaceCount = {
  readonly surface: string;
  readonly inputs: number;
  readonly seconds: number;
  readonly outcomes: Readonly<Record<string, number>>;
};

/** What a run found. */
export type FuzzResult = {
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly surfaces: readonly SurfaceCount[];
  readonly findings: readonly Finding[];
};

const portion = 500;
const sayEveryMs = 5000;
const slowMs = 250;
/** From so many inputs on a surface must have shown everything that it can say. */
const enough = 10_000;

type Count = { readonly surface: Surface; readonly planned: number; done: number; ms: number; readonly outcomes: Map<string, number> };

/** Runs. Never throws for what a surface throws: that is a finding. */
export async function runFuzz(surfaces: readonly Surface[], options: FuzzOptions): Promise<FuzzResult> {
  const { seed, say, signal, from = 0 } = options;
  const startedAt = performance.now();
  const deadline = startedAt + options.minutes * 60_000;
  const shares = surfaces.reduce((sum, { share }) => sum + share, 0);
  const counts: Count[] = surfaces.map((surface) => ({
    surface,
    planned: Math.max(1, Math.round((options.inputs * surface.share) / shares)),
    done: 0,
    ms: 0,
    outcomes: new Map(),
  }));
  const findings = new Map<string, Finding>();
  const isOver = (): boolean => signal.aborted || performance.now() >= deadline;
  const done = (): number => counts.reduce((sum, count) => sum + count.done, 0);

  function keep(surface: Surface, index: number, problem: Problem, input: Uint8Array): void {
    const key = `${surface.name} ${problem.kind} ${summarize(problem.what)}`;
    const known = findings.get(key);
    if (known === undefined) say(`FOUND at ${surface.name} #${index}: ${problem.kind}: ${problem.what.slice(0, 300)}`);
    const smallest =
      known !== undefined && known.input.length <= input.length ? known : { surface: surface.name, index, seed, ...problem, input };
    findings.set(key, { ...smallest, count: (known?.count ?? 0) + 1 });
  }

  async function tryOne({ surface, outcomes }: Count, index: number): Promise<void> {
    const input = surface.make(createPrng(seed, `${surface.name}/${index}`));
    const outcome = await judge(surface, input);
    outcomes.set(outcome.code, (outcomes.get(outcome.code) ?? 0) + 1);
    if (outcome.problem !== undefined) keep(surface, index, outcome.problem, input);
  }

  async function tryPortion(count: Count): Promise<void> {
    const { surface } = count;
    const begunAt = performance.now();
    const end = Math.min(count.planned, count.done + Math.max(1, Math.round((portion * surface.share) / shares) * 4));
    let next = count.done;
    const lane = async (): Promise<void> => {
      while (next < end && !isOver()) {
        next += 1;
        await tryOne(count, from + next - 1);
      }
    };
    await Promise.all(Array.from({ length: surface.lanes }, lane));
    count.done = next;
    count.ms += performance.now() - begunAt;
  }

  let saidAt = startedAt;
  while (!isOver() && counts.some((count) => count.done < count.planned)) {
    for (const count of counts) if (!isOver() && count.done < count.planned) await tryPortion(count);
    // Signals and timers have their turn.
    await new Promise((resolve) => setImmediate(resolve));
    if (performance.now() - saidAt < sayEveryMs) continue;
    saidAt = performance.now();
    say(`${done()} inputs in ${((saidAt - startedAt) / 1000).toFixed(0)} s, ${findings.size} findings`);
  }
  for (const { surface, outcomes, done: inputs } of counts) {
    const missing = surface.mustSee.filter((code) => !outcomes.has(code));
    if (inputs >= enough && missing.length > 0)
      keep(surface, 0, { kind: "silent", what: `no input of ${inputs} was ever ${missing.join(", ")}` }, new Uint8Array());
  }
  return {
    seed,
    inputs: done(),
    seconds: (performance.now() - startedAt) / 1000,
    surfaces: counts.map(({ surface, done: inputs, ms, outcomes }) => ({
      surface: surface.name,
      inputs,
      seconds: ms / 1000,
      outcomes: Object.fromEntries(outcomes),
    })),
    findings: await Promise.all([...findings.values()].map((finding) => shrink(surfaces, finding))),
  };
}

/** What became of the input; a thrown error is a crash, and an answer that takes long is one that can be made to take longer. */
async function judge(surface: Surface, input: Uint8Array): Promise<Outcome> {
  let outcome: Outcome = { code: "" };
  let fastest = Number.POSITIVE_INFINITY;
  // A machine that is busy is slow once; a parser that goes astray is slow every time.
  for (let tries = 0; tries < 3 && fastest > slowMs; tries += 1) {
    const startedAt = performance.now();
    try {
      const running = surface.run(input);
      // Only what runs by itself can be timed.
      if (!(running instanceof Promise)) fastest = Math.min(fastest, performance.now() - startedAt);
      else fastest = 0;
      outcome = await running;
    } catch (cause) {
      return {
        code: "crashed",
        problem: { kind: "crash", what: cause instanceof Error ? `${cause.name}: ${cause.message}${firstFrame(cause)}` : String(cause) },
      };
    }
  }
  return fastest > slowMs ? { code: outcome.code, problem: { kind: "slow", what: `one input took ${fastest.toFixed(0)} ms` } } : outcome;
}

const firstFrame = (error: Error): string => / at .*/.exec(error.stack ?? "")?.[0] ?? "";

/** Two findings are one when they differ in numbers and quotations only. */
const summarize = (what: string): string =>
  what
    .replace(/"(?:[^"\\]|\\.)*"?/g, "")
    .replace(/[0-9a-z]*[0-9][0-9a-z]*/gi, "")
    .slice(0, 120);

async function shrink(surfaces: readonly Surface[], finding: Finding): Promise<Finding> {
  const surface = surfaces.find(({ name }) => name === finding.surface);
  // A refusal of what is good is one only of the whole; a run that said nothing has no input.
  if (surface === undefined || finding.kind === "refusal" || finding.kind === "silent" || finding.kind === "slow") return finding;
  const summary = summarize(finding.what);
  const input = await shrinkInput(finding.input, async (candidate) => {
    const { problem } = await judge(surface, candidate);
    return problem !== undefined && problem.kind === finding.kind && summarize(problem.what) === summary;
  });
  return { ...finding, input };
}
