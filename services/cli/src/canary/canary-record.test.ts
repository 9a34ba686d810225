import { describe, expect, it } from "vitest";
import { createCanaryRecord } from "./canary-record.ts";

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

describe("what the canary has met", () => {
  it("is a finding when it was answered, or failed twice in a row, and says what failed last and when it was well", () => {
    const record = createCanaryRecord();
    expect(record.note({ stage: "login", reason: "" }, at(0))).toBeUndefined();
    expect(record.report()).toBeUndefined();
    expect(record.note({ ms: 4 }, at(1))).toBe("ok");
    expect(record.report()).toEqual({ ok: true, stage: undefined, lastOkAt: at(1), ms: 4 });
    expect(record.note({ stage: "answer", reason: "" }, at(2))).toBeUndefined();
    expect(record.report()?.ok).toBe(true);
    expect(record.note({ ms: 3 }, at(3))).toBeUndefined();
    record.note({ stage: "answer", reason: "" }, at(4));
    expect(record.note({ stage: "edge", reason: "" }, at(5))).toBe("failing");
    expect(record.report()).toEqual({ ok: false, stage: "edge", lastOkAt: at(3), ms: 3 });
    expect(record.note({ stage: "login", reason: "" }, at(6))).toBeUndefined();
    expect(record.report()?.stage).toBe("login");
    expect(record.note({ ms: 5 }, at(7))).toBe("ok");
    expect(record.stats().rounds).toEqual({ ok: 3, token: 0, login: 2, edge: 1, answer: 2 });
  });

  it("is bad from the second round on when it was never answered", () => {
    const record = createCanaryRecord();
    record.note({ stage: "token", reason: "" }, at(0));
    expect(record.note({ stage: "token", reason: "" }, at(1))).toBe("failing");
    expect(record.report()).toEqual({ ok: false, stage: "token", lastOkAt: undefined, ms: undefined });
  });
});
