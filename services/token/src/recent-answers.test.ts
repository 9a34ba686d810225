import { describe, expect, it } from "vitest";
import { createRecentAnswers } from "./recent-answers.ts";

function createCounted(options: { maxEntries?: number; fails?: boolean } = {}) {
  const asked: string[] = [];
  const world = { asked, nowMs: 1_000_000 };
  const ask = createRecentAnswers<string, string>({
    ask: async (key) => {
      asked.push(key);
      if (options.fails === true) throw new Error("no answer");
      return `${key}${asked.length}`;
    },
    maxAgeMs: 500,
    maxEntries: options.maxEntries ?? 10,
    now: () => new Date(world.nowMs),
  });
  return { world, ask };
}

describe("createRecentAnswers", () => {
  it("asks once for callers within the age, and again after it", async () => {
    const { world, ask } = createCounted();
    expect(await Promise.all([ask("a"), ask("a"), ask("b")])).toEqual(["a1", "a1", "b2"]);
    world.nowMs += 499;
    expect(await ask("a")).toBe("a1");
    world.nowMs += 1;
    expect(await ask("a")).toBe("a3");
  });

  it("is bounded: the oldest makes room", async () => {
    const { world, ask } = createCounted({ maxEntries: 2 });
    for (const key of ["a", "b", "c", "b", "a"]) await ask(key);
    expect(world.asked).toEqual(["a", "b", "c", "a"]);
  });

  it("a clock that was set back keeps no answer for ever", async () => {
    const { world, ask } = createCounted();
    await ask("a");
    world.nowMs -= 3_600_000;
    expect(await ask("a")).toBe("a2");
  });

  it("who fails to answer is not asked more often for it", async () => {
    const { world, ask } = createCounted({ fails: true });
    await expect(ask("a")).rejects.toThrow("no answer");
    await expect(ask("a")).rejects.toThrow("no answer");
    expect(world.asked).toEqual(["a"]);
  });
});
