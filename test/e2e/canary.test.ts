/** The canary: a tunnel of Keyhole's own behind `/health`, with real binaries, while what carries it is frozen, killed and restarted. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive } from "../support/alive.ts";
import { connectClient } from "../support/desktop-client.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { type RunningKeyhole, startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { servedBy } from "../support/served-by.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
const settings = "canary.enabled = true\ncanary.intervalSeconds = 1";

type Health = { readonly status: string; readonly canary?: { readonly ok: boolean; readonly stage?: string; readonly ms: number | null } };

/** Asks the token service itself: the edge may be what is down. */
async function readHealth(keyhole: RunningKeyhole): Promise<Health> {
  const { ports } = JSON.parse(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")) as { ports: Record<string, number> };
  const answer = await visit(ports["token.listen"] ?? 0, "127.0.0.1", { path: "/health" });
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body) as Health;
}

/** Resolves when the canary is said to fail in one of these stages, or, without any, to be well. */
async function finds(keyhole: RunningKeyhole, ...stages: readonly string[]): Promise<Health> {
  let last: Health | undefined;
  return await waitForFact(
    stages.length === 0 ? "the canary is answered" : `the canary fails in ${stages.join(" or ")}`,
    async () => {
      last = await readHealth(keyhole);
      if (stages.length === 0) return last.status === "healthy" && last.canary?.ok === true ? last : undefined;
      return last.status === "degraded" && stages.includes(last.canary?.stage ?? "") ? last : undefined;
    },
    { timeoutMs: 30_000, everyMs: 100, describe: () => JSON.stringify(last) },
  );
}

const recordOf = (keyhole: RunningKeyhole): string => join(keyhole.stateDir, "canary", "frpc.json");
const frpcPid = (keyhole: RunningKeyhole): number => (JSON.parse(readFileSync(recordOf(keyhole), "utf8")) as { pid: number }).pid;

describe("in one process", () => {
  it("is answered, fails while frps is frozen, is answered again, and leaves nothing behind", async () => {
    await using keyhole = await startKeyholeProcess({ settings, limits: { connectionsPerAddress: 1, tokenRequestsPerMinute: 1 } });
    expect(existsSync(recordOf(keyhole))).toBe(false);
    const healthy = await finds(keyhole);
    expect(healthy.canary?.ms).toBeLessThan(1000);
    const metrics = await (await fetch(`${keyhole.ready.urls.metrics}/metrics`)).text();
    expect(metrics).toContain("keyhole_canary_up 1");
    expect(metrics).toMatch(/keyhole_canary_rounds_total\{result="ok"\} [1-9]/);
    // One address has one connection and one request for a token here, and this client gets both: the canary's are its own.
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    const client = await connectClient(keyhole, wallet, app.port);
    await servedBy(keyhole, wallet, "app");
    await client.end("SIGKILL");

    process.kill(keyhole.frpsPid(), "SIGSTOP");
    await finds(keyhole, "answer", "login");
    process.kill(keyhole.frpsPid(), "SIGCONT");
    await finds(keyhole);

    const pid = frpcPid(keyhole);
    const token = /frp_[A-Za-z0-9_-]+/.exec(readFileSync(join(keyhole.stateDir, "canary", "frpc.toml"), "utf8"))?.[0] ?? "";
    expect(token.length).toBeGreaterThan(100);
    const key = readFileSync(join(keyhole.stateDir, "canary", "wallet.key"), "utf8").trim();
    expect(await keyhole.end("SIGTERM")).toBe(0);
    expect(isAlive(pid)).toBe(false);
    for (const secret of [token, key]) expect(keyhole.output()).not.toContain(secret);
  });
});

describe("in parts", () => {
  let keyhole: KeyholeParts;
  beforeAll(async () => {
    keyhole = await startKeyholeParts({ settings });
  });
  afterAll(() => keyhole?.[Symbol.asyncDispose]());

  it("7: says when the edge is away, and comes back with every part that is killed and started again", async () => {
    await finds(keyhole);
    await keyhole.end("edge", "SIGKILL");
    await finds(keyhole, "edge");
    expect(keyhole.readStatus().parts.find(({ part }) => part === "supervisor")?.status?.problems).toEqual([
      expect.stringContaining("Is the edge running?"),
    ]);
    await keyhole.start("edge");
    await finds(keyhole);
    const pid = frpcPid(keyhole);
    for (const part of ["plugin", "token"] as const) {
      await keyhole.end(part, "SIGKILL");
      await keyhole.start(part);
      await finds(keyhole);
    }
    expect(frpcPid(keyhole)).toBe(pid);
  });

  it("takes another token by itself when its own is refused", async () => {
    await finds(keyhole);
    const configFile = join(keyhole.dir, "keyhole.toml");
    const keys = (...args: readonly string[]): string =>
      spawnSync(process.execPath, [main, "keys", ...args, "--config", configFile], { cwd: keyhole.dir, encoding: "utf8" }).stdout;
    const minting = (): string => {
      const all = JSON.parse(keys("list", "--json")) as { keys: { id: string; purpose: string; state: string }[] };
      return all.keys.find(({ purpose, state }) => purpose === "token-hmac" && state === "mints")?.id ?? "";
    };
    const former = minting();
    const pid = frpcPid(keyhole);
    keys("rotate", "token-hmac");
    await waitForFact("another key mints", () => (["", former].includes(minting()) ? undefined : true), {
      timeoutMs: 20_000,
      everyMs: 200,
    });
    expect(keys("retire", former, "--now")).toContain("1 session");
    await waitForFact("another frpc runs", () => (frpcPid(keyhole) !== pid ? true : undefined), { timeoutMs: 20_000, everyMs: 50 });
    await finds(keyhole);
  });

  it("of a supervisor that was killed is found by the next one: there is never a second frpc", async () => {
    await finds(keyhole);
    const former = frpcPid(keyhole);
    await keyhole.end("supervisor", "SIGKILL");
    await keyhole.start("supervisor");
    await finds(keyhole);
    const pid = await waitForFact("another frpc runs", () => (frpcPid(keyhole) !== former ? frpcPid(keyhole) : undefined));
    expect([isAlive(former), isAlive(pid)]).toEqual([false, true]);
    await keyhole.end("supervisor", "SIGTERM");
    expect(isAlive(pid)).toBe(false);
    await keyhole.start("supervisor");
    await finds(keyhole);
  });
});
