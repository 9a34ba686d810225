/** frps's log: what is in it, what is not, and what it can bear. */
import { spawn } from "node:child_process";
import { readFile, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseFrpLogLine } from "../src/index.ts";
import { awaitFact } from "./support/await-fact.ts";
import { admit } from "./support/hook-server.ts";
import { startApp } from "./support/servers.ts";
import { startWorld } from "./support/world.ts";

const ticket = "-_aZ09".repeat(10).concat("xyz");

describe("the log of frps", () => {
  it("9: has tickets in it, and our reading of it has none", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({
      script: { login: (content) => admit(content, content.runId === "" ? { run_id: ticket } : {}) },
    });
    const client = await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await world.awaitVisit("a.tunnel.test", "app");
    await world.kick(ticket);
    await client.stop();
    await awaitFact("frps logs the end", () => world.frps.log().includes("client exit success"), { seen: () => world.describe() });
    expect(world.frps.log()).toContain(ticket);
    const lines = world.frps.log().trim().split("\n").map(parseFrpLogLine);
    expect(lines.every((line) => line.at !== undefined && line.source !== "")).toBe(true);
    expect(JSON.stringify(lines)).not.toContain(ticket);
    expect(lines.map((line) => line.message)).toContainEqual(
      expect.stringMatching(/^\[…\] client login info: ip \[127\.0\.0\.1:\d+\] version \[0\.71\.0\]/),
    );
    expect(lines.map((line) => line.message)).toContainEqual("[…] new proxy [web] type [http] success");
    expect(JSON.stringify(client.log().trim().split("\n").map(parseFrpLogLine))).not.toContain(ticket);
  });

  it("9: never holds the hook's password: it is sent as Basic authorization and printed as ***", async () => {
    await using world = await startWorld({ settings: { hookPassword: "a-secret-of-the-hook" } });
    const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    const [asked] = await awaitFact("frps calls the hook", () => world.hook.requests.length > 0 && world.hook.requests, {
      seen: () => world.describe(),
    });
    expect(asked?.authorization).toBe(`Basic ${Buffer.from("frps:a-secret-of-the-hook").toString("base64")}`);
    expect(asked?.url).toBe("/hook?op=Login&version=0.1.0");
    // A call that fails is what frps logs with its URL.
    await client.stop();
    await world.hook[Symbol.asyncDispose]();
    const refused = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    await awaitFact("the call failed", () => refused.log().includes("send Login request to plugin error"), {
      seen: () => world.describe(),
    });
    await awaitFact("frps logs the failed call", () => /Post ".*\*\*\*@127/.test(world.frps.log()), { seen: () => world.describe() });
    expect(world.frps.log()).not.toContain("a-secret-of-the-hook");
    expect(refused.log()).not.toContain("a-secret-of-the-hook");
  });

  it("may be cut to nothing while frps writes: frps goes on, and goes on from the beginning of the file", async () => {
    await using app = await startApp("app");
    await using world = await startWorld();
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
    await world.awaitVisit("a.tunnel.test", "app");
    const path = join(world.directory, "frps.log");
    await truncate(path, 0);
    expect((await world.visit("nobody.tunnel.test")).status).toBe(404);
    await awaitFact("frps logs the 404", async () => (await stat(path)).size > 0, { seen: () => world.describe() });
    expect(await readFile(path, "utf8")).toMatch(/^\d{4}-\d\d-\d\d .*nobody\.tunnel\.test/);
    expect(world.frps.hasExited()).toBe(false);
    await world.awaitVisit("a.tunnel.test", "app");
  });

  it("on a pipe whose reader has died kills frps at its next line: so it goes to a file", async () => {
    await using world = await startWorld();
    await world.frps.stop();
    const child = spawn(world.binaries.frps.path, ["-c", join(world.directory, "frps.toml")], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {},
    });
    try {
      const isUp = () => world.dashboard.isHealthy();
      await awaitFact("frps is up", isUp);
      child.stdout.destroy();
      child.stderr.destroy();
      // A request that it cannot route is a line of its log.
      await awaitFact("frps is dead", () =>
        world.visit("nobody.test").then(
          () => child.signalCode !== null,
          () => child.signalCode !== null,
        ),
      );
      expect(child.signalCode).toBe("SIGPIPE");
    } finally {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    }
  });

  it("says in each line where it comes from: a call of the dashboard, a request without a route", async () => {
    await using world = await startWorld();
    await world.dashboard.readClients();
    await world.visit("nobody.tunnel.test", "/private");
    const find = (words: string) =>
      world.frps
        .log()
        .split("\n")
        .map(parseFrpLogLine)
        .find(({ message }) => message.includes(words));
    await awaitFact("both are logged", () => find("/api/v2/clients") && find("nobody.tunnel.test"), { seen: () => world.describe() });
    expect(find("/api/v2/clients")).toMatchObject({ level: "info", source: expect.stringMatching(/^http\/middleware\.go:/) });
    expect(find("nobody.tunnel.test")).toMatchObject({
      level: "warn",
      source: expect.stringMatching(/^httputil\/reverseproxy\.go:/),
      message: expect.stringContaining("/private"),
    });
  });

  it("tells of a port that is taken in these words", async () => {
    await using world = await startWorld();
    const other = world.runFrps();
    await awaitFact("the second frps has ended", () => other.hasExited(), { seen: () => world.describe() });
    expect(other.log()).toMatch(/listen tcp 127\.0\.0\.1:\d+: bind: address already in use/);
    expect(world.frps.hasExited()).toBe(false);
  });
});
