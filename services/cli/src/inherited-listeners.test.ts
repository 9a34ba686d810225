import { describe, expect, it } from "vitest";
import { describeMissedListeners, readInheritedListeners } from "./inherited-listeners.ts";

describe("inherited listeners", () => {
  it("are descriptors 3 and up by the names of the socket units", () => {
    const env = { LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "visitors:control" };
    expect([...readInheritedListeners(env, 7)]).toEqual([
      ["visitors", 3],
      ["control", 4],
    ]);
  });

  it.each([
    ["nothing was handed over", {}],
    ["they were meant for another process", { LISTEN_PID: "8", LISTEN_FDS: "1", LISTEN_FDNAMES: "visitors" }],
  ])("are none when %s", (_name, env) => {
    expect(readInheritedListeners(env, 7).size).toBe(0);
  });

  it.each([[{ LISTEN_FDNAMES: "web" }], [{ LISTEN_FDNAMES: undefined }], [{ LISTEN_FDNAMES: "visitors:visitors", LISTEN_FDS: "2" }]])(
    "under a name that nobody listens on are refused, with the names that are known: %j",
    (env) => {
      expect(() => readInheritedListeners({ LISTEN_PID: "7", LISTEN_FDS: "1", ...env }, 7)).toThrow(/visitors, control, token, hook/);
    },
  );

  it("that were handed to a launcher are told, with the command that takes them", () => {
    expect(describeMissedListeners({ LISTEN_PID: "6", LISTEN_FDS: "1" }, 7)).toContain("main.ts");
    expect(describeMissedListeners({ LISTEN_PID: "7", LISTEN_FDS: "1" }, 7)).toBeUndefined();
    expect(describeMissedListeners({}, 7)).toBeUndefined();
  });
});
