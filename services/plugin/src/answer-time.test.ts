import { describe, expect, it } from "vitest";
import { endlessTime, judgeTime, waitable, withinTime } from "./answer-time.ts";

const judge = (leftMs: number, hasWaitedForRegistry: boolean, isHandOver: boolean): string =>
  judgeTime({ left: () => leftMs, hasWaitedForRegistry }, isHandOver)?.code ?? "begun";

describe("a login that is late", () => {
  it("2: displaces nobody when too little is left for that, least of all when the next try has more", () => {
    expect([judge(251, false, true), judge(250, false, true)]).toEqual(["begun", "HANDOVER_PENDING"]);
    expect([judge(451, true, true), judge(450, true, true)]).toEqual(["begun", "GATEWAY_PENDING"]);
  });
  it("4: begins nothing when nobody waits any more", () => {
    expect([judge(1, true, false), judge(1, false, false)]).toEqual(["begun", "begun"]);
    expect([judge(0, true, false), judge(0, false, false)]).toEqual(["GATEWAY_PENDING", "HANDOVER_PENDING"]);
  });
  it("waits for anything at most as long as there is time, and who is not waited for as long as he may", () => {
    expect([waitable(() => 850, 700), waitable(() => 300, 700), waitable(() => 20, 700)]).toEqual([700, 250, 0]);
    expect([waitable(endlessTime.left, 700), judgeTime(endlessTime, true)]).toEqual([700, undefined]);
  });
});

it("what takes longer than it may comes to the other value, and what fails fails", async () => {
  expect(await withinTime(new Promise<string>(() => {}), 5, "late")).toBe("late");
  expect(await withinTime(Promise.resolve("here"), 0, "late")).toBe("here");
  await expect(withinTime(Promise.reject(new Error("no")), 1000, "late")).rejects.toThrow("no");
});
