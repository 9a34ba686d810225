/**
 * Every core is taken by somebody else for some seconds. Clients log in at a steady pace meanwhile: each is admitted, at
 * once or when it asks again, the hook answers in time, and no tunnel is lost.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { connectClient, requestToken } from "../support/desktop-client.ts";
import { loginOf } from "../support/hostile-world.ts";
import { startKeyholeParts } from "../support/keyhole-parts.ts";
import { startLocalApp } from "../support/local-app.ts";
import { connectRaw } from "../support/raw-frp-client.ts";
import { failuresOf, servedBy, startVisitingWallet } from "../support/served-by.ts";
import { makeWallet } from "../support/wallet.ts";

const fixture = fileURLToPath(new URL("../fixtures/spins.mjs", import.meta.url));
const loginsPerSecond = 20;
const seconds = 10;

function startSpinning(count: number): Disposable {
  const children: ChildProcess[] = Array.from({ length: count }, () => spawn(process.execPath, [fixture], { stdio: "ignore" }));
  return {
    [Symbol.dispose]() {
      for (const child of children) child.kill("SIGKILL");
    },
  };
}

/** The one below which so many of them lie. */
const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) * part)] ?? Number.NaN;

it("4, 7: with every core taken, twenty logins a second are all admitted, the hook answers within its time, and no tunnel is lost", async () => {
  await using keyhole = await startKeyholeParts({ hookRelay: true });
  await using app = await startLocalApp("app");
  await using clients = new AsyncDisposableStack();
  const wallets = Array.from({ length: 5 }, () => makeWallet());
  for (const wallet of wallets) clients.use(await connectClient(keyhole, wallet, app.port));
  for (const wallet of wallets) await servedBy(keyhole, wallet, "app");
  const tokens: string[] = [];
  for (let count = 0; count < 100; count += 1) tokens.push((await requestToken(keyhole, makeWallet())).token);
  const hookMs: number[] = [];
  const asked = new Map<string, number>();
  keyhole.hookRelay.before = async ({ op, body }) => void asked.set(op + body, performance.now());
  keyhole.hookRelay.after = async ({ op, body }) => void hookMs.push(performance.now() - (asked.get(op + body) ?? Number.NaN));
  const load = startVisitingWallet(keyhole, wallets[0] ?? makeWallet());

  const spinning = startSpinning(availableParallelism());
  const loginMs: number[] = [];
  const refusals: string[] = [];
  const lost: string[] = [];
  /** As frpc does it: who is refused for now asks again. */
  const logIn = async (token: string, tries = 3): Promise<void> => {
    const startedAt = performance.now();
    using client = await connectRaw({ port: keyhole.controlPort });
    const answer = await client.login(loginOf(token));
    loginMs.push(performance.now() - startedAt);
    const refusal = String(answer["error"] ?? "").split(":")[0] ?? "";
    if (refusal === "") return;
    refusals.push(refusal);
    if (tries === 1) lost.push(refusal);
    else await logIn(token, tries - 1);
  };
  const pending: Promise<void>[] = [];
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const token = tokens[pending.length % tokens.length] ?? "";
      pending.push(logIn(token).catch((error: unknown) => void lost.push(String(error))));
      if (pending.length < loginsPerSecond * seconds) return;
      clearInterval(timer);
      resolve();
    }, 1000 / loginsPerSecond);
  });
  await Promise.all(pending);
  spinning[Symbol.dispose]();
  await load.stop();

  console.info(
    `${loginMs.length} logins, p50 ${percentile(loginMs, 0.5).toFixed(0)} ms, p99 ${percentile(loginMs, 0.99).toFixed(0)} ms; hook: ${hookMs.length} calls, p50 ${percentile(hookMs, 0.5).toFixed(1)} ms, p99 ${percentile(hookMs, 0.99).toFixed(1)} ms; ${load.visits.length} visits, ${refusals.length} refused at first: ${[...new Set(refusals)].join(" ")}`,
  );
  expect(percentile(hookMs, 0.99)).toBeLessThan(2000);
  expect(lost).toEqual([]);
  // Doubt is a refusal, for now: the edge is asked for at most a moment.
  expect(refusals.filter((code) => !["EDGE_SILENT", "HANDOVER_PENDING", "BUSY"].includes(code))).toEqual([]);
  expect(refusals.length).toBeLessThan((loginsPerSecond * seconds) / 10);
  expect(failuresOf(load)).toEqual([]);
  for (const wallet of wallets) await servedBy(keyhole, wallet, "app", 2000);
});
