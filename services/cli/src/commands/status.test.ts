import { describe, expect, it } from "vitest";
import { type PartAnswer, renderStatus } from "./status.ts";

const up = (part: PartAnswer["part"], problems: string[] = []): PartAnswer => ({
  part,
  state: "up",
  status: { part, pid: 7, version: "0.1.0", startedAt: "2026-11-22T11:55:00.000Z", summary: `${part} is fine`, facts: {}, problems },
});
const render = (answers: readonly PartAnswer[], configFile?: string): string =>
  renderStatus({ stateDir: "/srv/state", answers, now: new Date("2026-11-22T12:00:00Z"), configFile }).replaceAll(/\u001b\[[0-9;]*m/g, "");

describe("the status screen", () => {
  it("has a line a part by its own words", () => {
    const screen = render([up("edge"), up("token"), up("plugin"), up("supervisor")]);
    expect(screen).toMatch(/edge +up +pid 7, 5 min +edge is fine/);
    expect(screen).toContain("All is well.");
  });

  it("says of what is wrong what to do about it", () => {
    const screen = render([
      up("edge"),
      { part: "token", state: "down", reason: "nobody" },
      { part: "plugin", state: "silent", reason: "time" },
      up("supervisor", ["frps is backing-off."]),
      { part: "edge", state: "forbidden", reason: "EACCES" },
    ]);
    expect(screen).toContain("edge: you may not ask it. Run this as its user, or as one of its group.");
    expect(screen).toContain("token: it is not running. Start it with: keyhole token");
    expect(screen).toContain("plugin: it does not answer. Look at its log, and restart it.");
    expect(screen).toContain("supervisor: frps is backing-off.");
    expect(screen).not.toContain("All is well.");
  });

  it("names the configuration file in what is to be typed", () => {
    const screen = render([{ part: "token", state: "down", reason: "nobody" }], "my.toml");
    expect(screen).toContain("Start it with: keyhole token --config my.toml (or everything in one process: keyhole up --config my.toml)");
  });
});
