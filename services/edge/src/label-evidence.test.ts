import type { Label } from "@keyhole/core";
import { describe, expect, it } from "vitest";
import { createLabelEvidence } from "./label-evidence.ts";

const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed" as Label;
const labelOf = (number: number): Label => `0x${number.toString(16).padStart(40, "0")}` as Label;

function create(epoch = "edge-1") {
  const clock = { at: 1_000_000 };
  return { clock, evidence: createLabelEvidence({ now: () => new Date(clock.at), epoch }) };
}

describe("what visitors' requests have shown", () => {
  it("tells the first answer, every failure, and the answer after one; nothing of the answers between", () => {
    const { clock, evidence } = create();
    const witness = evidence.witness(label);
    evidence.answered(witness);
    clock.at += 1;
    evidence.answered(evidence.witness(label));
    const first = evidence.read(undefined);
    expect(first.evidence).toEqual([{ label, at: new Date(1_000_000), failure: undefined }]);
    evidence.answered(witness);
    expect(evidence.read(first.cursor).evidence).toEqual([]);

    evidence.failed(witness, "APP_UNREACHABLE");
    clock.at += 5;
    evidence.failed(witness, "APP_TIMEOUT");
    const second = evidence.read(first.cursor);
    expect(second.evidence).toEqual([{ label, at: new Date(1_000_006), failure: "APP_TIMEOUT" }]);
    evidence.answered(witness);
    expect(evidence.read(second.cursor).evidence).toEqual([{ label, at: new Date(1_000_006), failure: undefined }]);
  });

  it("tells again what was told to nobody: an answer that was lost on its way loses nothing", () => {
    const { evidence } = create();
    evidence.failed(evidence.witness(label), "APP_UNREACHABLE");
    const lost = evidence.read(undefined);
    expect(evidence.read(undefined)).toEqual(lost);
    expect(evidence.read(lost.cursor).evidence).toEqual([]);
    expect(evidence.read(lost.cursor)).toEqual({ ...lost, evidence: [] });
  });

  it("begins anew for a cursor of the edge before it, or one that is none", () => {
    const { evidence } = create("edge-2");
    evidence.failed(evidence.witness(label), "APP_UNREACHABLE");
    for (const cursor of ["edge-1 900", "edge-2 x", "edge-2", "", " 5"]) expect(evidence.read(cursor).evidence).toHaveLength(1);
  });

  it("what was begun before a label was put again says nothing about who serves it now", () => {
    const { evidence } = create();
    const former = evidence.witness(label);
    evidence.forget(label);
    evidence.failed(former, "APP_TIMEOUT");
    expect(evidence.read(undefined).evidence).toEqual([]);
    evidence.answered(evidence.witness(label));
    evidence.failed(former, "APP_TIMEOUT");
    expect(evidence.read(undefined).evidence).toMatchObject([{ label, failure: undefined }]);
    evidence.keepOnly(new Set());
    expect(evidence.read(undefined).evidence).toEqual([]);
  });

  it("a report has at most a thousand labels, and all of them come in turn", () => {
    const { evidence } = create();
    for (let number = 0; number < 2500; number += 1) evidence.failed(evidence.witness(labelOf(number)), "APP_UNREACHABLE");
    const seen: Label[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    for (let isMore = true; isMore; ) {
      const report = evidence.read(cursor);
      seen.push(...report.evidence.map((one) => one.label));
      sizes.push(report.evidence.length);
      ({ cursor, isMore } = report);
    }
    expect(sizes).toEqual([1000, 1000, 500]);
    expect(new Set(seen).size).toBe(2500);
  });
});
