import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { connectClient, requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { domain, findProcessesOf, startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { openTemporaryDirectory } from "../support/temporary-directory.ts";
import { recordRun } from "../support/test-record.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
const run = (args: readonly string[], cwd: string) =>
  recordRun(spawnSync(process.execPath, [main, ...args], { cwd, env: { PATH: process.env.PATH }, encoding: "utf8", timeout: 60_000 }));

describe("keyhole up", () => {
  it.each(["SIGINT", "SIGTERM"] as const)(
    "ends on %s with code 0 and leaves no process, no port and no lock; it starts again on what it kept",
    async (signal) => {
      await using keyhole = await startKeyholeProcess({ args: ["--demo"] });
      const ports = readFileSync(join(keyhole.stateDir, "ports.json"), "utf8");
      await waitForFact("the demo is open", () => (keyhole.output().includes("open ") ? true : undefined), { describe: keyhole.output });
      expect(await keyhole.end(signal)).toBe(0);
      expect(findProcessesOf(keyhole.dir)).toEqual([]);
      expect(existsSync(join(keyhole.stateDir, "ready.json"))).toBe(false);
      await keyhole.restart();
      expect(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")).toBe(ports);
    },
  );

  it("8: killed with -9 and started again, it takes over the frps that was left and serves; whoever was connected is back", async () => {
    await using keyhole = await startKeyholeProcess();
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    await using _client = await connectClient(keyhole, wallet, app.port);
    const orphan = keyhole.frpsPid();
    await keyhole.end("SIGKILL");
    expect(findProcessesOf(keyhole.dir).some(({ pid }) => pid === orphan)).toBe(true);
    await keyhole.restart();
    expect(keyhole.frpsPid()).toBe(orphan);
    expect(findProcessesOf(keyhole.dir).filter(({ command }) => command.includes("frps.toml"))).toHaveLength(1);
    await waitForFact(
      "the client is back",
      async () => ((await visit(keyhole.edgePort, `${wallet.label}.${domain}`)).body === "app" ? true : undefined),
      { timeoutMs: 30_000 },
    );
  });

  it("6: a token that was given before a kill -9 is good after it", async () => {
    await using keyhole = await startKeyholeProcess();
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, app.port);
    await keyhole.end("SIGKILL");
    await keyhole.restart();
    await using client = startFrpcOn(keyhole, text);
    await client.saw("start proxy success", 20_000);
  });

  it("keeps its secrets to itself: 0700 and 0600", async () => {
    await using keyhole = await startKeyholeProcess();
    expect(statSync(keyhole.stateDir).mode & 0o777).toBe(0o700);
    for (const file of ["ports.json", "frps.toml", "frps.log", "control/ca.key", "control/control.key"])
      expect([file, statSync(join(keyhole.stateDir, file)).mode & 0o777]).toEqual([file, 0o600]);
  });

  it("a second one on the same state is refused and names the first; the first goes on", async () => {
    await using keyhole = await startKeyholeProcess();
    const second = run(["up", "--config", join(keyhole.dir, "keyhole.toml")], keyhole.dir);
    expect([second.status, second.stderr]).toEqual([1, expect.stringContaining(`STATE_LOCKED`)]);
    expect(second.stderr).toContain(String(keyhole.ready.pid));
    expect(existsSync(join(keyhole.stateDir, "ready.json"))).toBe(true);
  });

  it("a busy port is refused with its number, its setting and who holds it", async () => {
    using folder = openTemporaryDirectory();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    writeFileSync(
      join(folder.path, "keyhole.toml"),
      `token.listen = "127.0.0.1:0"\ncontrol.listen = "127.0.0.1:0"\nmetrics.listen = "127.0.0.1:0"\nedge.listen = "127.0.0.1:${port}"\n`,
    );
    const refused = run(["up"], folder.path);
    server.close();
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`PORT_BUSY: edge.listen: 127.0.0.1:${port} is in use by`),
    ]);
    expect(refused.stderr).toContain(`pid ${process.pid}`);
    expect(findProcessesOf(folder.path)).toEqual([]);
  });
});

describe("the command line", () => {
  it("tells what there is, and refuses what there is not with code 2", () => {
    using folder = openTemporaryDirectory();
    expect(run(["--help"], folder.path)).toMatchObject({ status: 0, stdout: expect.stringContaining("keyhole [options] [command]") });
    expect(run(["up", "--help"], folder.path)).toMatchObject({ status: 0, stdout: expect.stringContaining("--demo") });
    expect(run(["--version"], folder.path).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(run(["upp"], folder.path)).toMatchObject({ status: 2, stderr: expect.stringContaining("up") });
    expect(run(["up", "--demoo"], folder.path).status).toBe(2);
  });

  it("checks and shows the configuration; a bad one is refused with code 78 and every problem at once", () => {
    using folder = openTemporaryDirectory();
    expect(run(["config", "check"], folder.path)).toMatchObject({ status: 0, stdout: "The configuration is valid.\n" });
    expect(JSON.parse(run(["config", "show", "--json"], folder.path).stdout)).toMatchObject({
      domain: "tunnel.localhost",
      "edge.listen": "127.0.0.1:7080",
    });
    writeFileSync(join(folder.path, "keyhole.toml"), 'domian = "x"\n[edge]\nlisten = "nowhere"\n');
    const refused = run(["config", "check"], folder.path);
    expect(refused.status).toBe(78);
    expect(refused.stderr).toContain("did you mean domain?");
    expect(refused.stderr).toContain("edge.listen: must be host:port");
    expect(run(["up", "--config", "missing.toml"], folder.path)).toMatchObject({
      status: 78,
      stderr: expect.stringContaining("CONFIG_UNREADABLE"),
    });
  });
});
