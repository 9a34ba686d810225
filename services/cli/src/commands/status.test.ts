import { describe, expect, it } from "vitest";
import { deriveTotals, type PartAnswer, renderStatus } from "./status.ts";

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

  const withFacts = (part: PartAnswer["part"], facts: Record<string, number>): PartAnswer => {
    const answer = up(part);
    return answer.state === "up" ? { ...answer, status: { ...answer.status, facts } } : answer;
  };

  it("tells what the parts come to together: tunnels, rates of the last minute, blocks", () => {
    const answers = [
      withFacts("edge", { requestsPerSecond: 12.5, refusalsPerMinute: 1.2 }),
      withFacts("token", { refusalsPerMinute: 2 }),
      withFacts("plugin", { sessions: 4, tunnels: 3, routable: 2, blocks: 1, loginsPerSecond: 0.1, refusalsPerMinute: 0.1 }),
    ];
    expect(deriveTotals(answers)).toMatchObject({ tunnels: 3, refusalsPerMinute: 3.3 });
    const screen = render(answers);
    expect(screen).toMatch(/tunnels +3 connected, 2 routable \(4 sessions/);
    expect(screen).toMatch(/last minute +12\.5 requests\/s, 0\.1 logins\/s, 3\.3 refusals\/min/);
    expect(screen).toMatch(/blocks +1 in force/);
  });

  it("counts one session as one", () => {
    expect(render([withFacts("plugin", { sessions: 1 })])).toContain("(1 session: keyhole sessions list)");
  });

  it("tells a question mark of what nobody can say, and never a number that is not there", () => {
    const down = { part: "plugin", state: "down", reason: "nobody" } as const;
    const screen = render([withFacts("edge", { requestsPerSecond: 0, refusalsPerMinute: 0 }), down]);
    expect(screen).toMatch(/tunnels +\? connected, \? routable/);
    expect(screen).toMatch(/last minute +0 requests\/s, \? logins\/s, 0 refusals\/min/);
    expect(deriveTotals([down])).toMatchObject({ tunnels: null, requestsPerSecond: null, refusalsPerMinute: null });
  });
});
