import { expect, test } from "vitest";
import { renderFuzzReport } from "../fuzz/fuzz-report.ts";
import { runFuzz } from "../fuzz/run-fuzz.ts";
import { openSurfaces } from "../fuzz/surfaces.ts";

test("4, 5, 13: hostile inputs at every parser and door crash nothing, get no answer outside the catalogue, and no admission that an oracle without our verifiers refuses", async () => {
  const seed = 20_261_122;
  await using opened = await openSurfaces(seed, undefined);
  const { signal } = new AbortController();
  const result = await runFuzz(opened.surfaces, { seed, inputs: 8000, minutes: 0.5, say: () => {}, signal });
  expect(result.findings.length, renderFuzzReport(result)).toBe(0);
  const admitted = (surface: string, outcome: string): number =>
    result.surfaces.find((count) => count.surface === surface)?.outcomes[outcome] ?? 0;
  for (const outcome of ["Login admitted hmac", "NewProxy admitted", "Login CREDENTIAL_TWICE"])
    expect(admitted("hook", outcome), outcome).toBeGreaterThan(0);
  for (const outcome of ["200 token", "200 revoke", "SIGNER_MISMATCH"]) expect(admitted("token", outcome), outcome).toBeGreaterThan(0);
});
