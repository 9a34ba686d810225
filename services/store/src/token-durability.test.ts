import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { orderOf } from "../test/made-up-orders.ts";
import { labelOf, openTemporaryFolder, plainOrder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";

type Acknowledged = {
  readonly wallet: number;
  readonly step: number;
  readonly proofKey: string;
  /** Of a token. */
  readonly issuedAt?: string;
  /** Of a revocation. */
  readonly notBefore?: string;
};
const program = fileURLToPath(new URL("../test/order-tokens.ts", import.meta.url));

/** Lets the program order and revoke tokens and kills it with SIGKILL right after `count` were acknowledged. */
async function killAfter(path: string, count: number, start: number): Promise<readonly Acknowledged[]> {
  const child = spawn(process.execPath, [program, path, String(start)], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk;
    if (printed.split("\n").length > count) child.kill("SIGKILL");
  });
  await closed;
  const whole = printed.split("\n").slice(0, -1); // the last one may be cut off in the middle
  expect(whole.length).toBeGreaterThanOrEqual(count);
  return whole.map((line) => JSON.parse(line) as Acknowledged);
}

test("6: what was acknowledged is recorded, revoked, repeated, and its proof spent, whenever the process is killed", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  const acknowledged: Acknowledged[] = [];
  let ofLastRun: readonly Acknowledged[] = [];
  let start = 1_800_000_000;
  let sequence = 0;
  for (const count of fc.sample(fc.integer({ min: 40, max: 1500 }), 4)) {
    start += 3600; // not so far that old rows are swept
    ofLastRun = await killAfter(path, count, start);
    acknowledged.push(...ofLastRun);

    // A reader that comes while no writer lives sees it all: it recovers the log that the dead writer left.
    await using reader = await openTokenReader({ path });
    for (const { wallet, issuedAt } of acknowledged) {
      if (issuedAt !== undefined) expect(await reader.findToken(labelOf(wallet), "hmac", new Date(issuedAt))).toBeDefined();
    }
    const announced = await reader.revocationsAfter(sequence, 100);
    expect(await reader.newestRevocation()).toBe(announced.at(-1)?.sequence);
    sequence = await reader.newestRevocation();
    for (const { wallet, notBefore } of ofLastRun) {
      if (notBefore === undefined) continue;
      const inForce = await reader.notBefore(labelOf(wallet));
      expect(inForce?.getTime()).toBeGreaterThanOrEqual(new Date(notBefore).getTime());
      expect(announced.find(({ label }) => label === labelOf(wallet))?.notBefore).toEqual(inForce);
    }
  }
  expect(ofLastRun.some(({ notBefore }) => notBefore !== undefined)).toBe(true);

  await using store = await openTokenStore({ path, log: silentLog });
  const newest = new Map(ofLastRun.filter(({ issuedAt }) => issuedAt !== undefined).map((one) => [one.wallet, one]));
  for (const { wallet, step, issuedAt = "" } of newest.values()) {
    const wasRevoked = ((await store.notBefore(labelOf(wallet))) ?? 0) > new Date(issuedAt);
    const repeated = await store.orderToken(orderOf(start, wallet, step));
    if (wasRevoked) expect(repeated).toEqual({ outcome: "revoked" });
    else expect(repeated).toMatchObject({ outcome: "repeated", token: { issuedAt: new Date(issuedAt) } });
  }

  const now = new Date((start + 3600) * 1000);
  // Proofs of earlier runs ended more than an hour ago by this clock, and may be forgotten.
  const outcomes = await Promise.all(
    ofLastRun.slice(-300).map(({ wallet, proofKey, notBefore }) => {
      const order = { ...plainOrder, label: labelOf(wallet), proofKey, provedAt: now, proofEndsAt: now, now };
      return notBefore === undefined ? store.orderToken(order) : store.revoke(order);
    }),
  );
  expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(["proof-already-used"]));
});
