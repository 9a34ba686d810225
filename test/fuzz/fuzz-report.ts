/** What a run says at its end: a row a surface, and each finding with all that it takes to see it again. */
import type { Finding, FuzzResult } from "./run-fuzz.ts";

const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");

/** Renders it as text. */
export function renderFuzzReport(result: FuzzResult): string {
  const width = Math.max(...result.surfaces.map(({ surface }) => surface.length));
  const rows = result.surfaces.map(
    ({ surface, inputs, seconds, outcomes }) =>
      `  ${surface.padEnd(width)}  ${String(inputs).padStart(8)} in ${seconds.toFixed(1).padStart(6)} s  ${list(outcomes)}`,
  );
  return [
    `Keyhole fuzz: seed ${result.seed}, ${result.inputs} inputs in ${result.seconds.toFixed(0)} s, Node ${process.version}`,
    ...rows,
    "",
    result.findings.length === 0 ? "0 findings" : `${result.findings.length} FINDINGS`,
    ...result.findings.flatMap(renderFinding),
    "",
  ].join("\n");
}

/** What broke, how often, and how to see it again. */
function renderFinding({ surface, index, seed, kind, what, count, input }: Finding): string[] {
  return [
    "",
    `${kind} at ${surface}, ${count} time${count === 1 ? "" : "s"}: ${what}`,
    `  again: npm run fuzz -- --seed ${seed} --only ${surface} --from ${index} --inputs 1`,
    `  input: ${Buffer.from(input).toString("base64")}`,
  ];
}
