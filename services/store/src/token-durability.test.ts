import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";

type Acknowledged = { readonly wallet: number; readonly proofKey: string; readonly issuedAt: string };
const program = fileURLToPath(new URL("../test/order-tokens.ts", import.meta.url));

/** Lets the program order tokens and kills it with SIGKILL right after it has acknowledged `count` of them. */
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

test("6: every token that was acknowledged is recorded and its proof is spent, whenever the process is killed", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  const acknowledged: Acknowledged[] = [];
  let ofLastRun: readonly Acknowledged[] = [];
  let start = 1_800_000_000;
  for (const count of fc.sample(fc.integer({ min: 1, max: 1500 }), 4)) {
    ofLastRun = await killAfter(path, count, start);
    acknowledged.push(...ofLastRun);
    start += 3600; // not so far that old rows are swept

    // A reader that comes while no writer lives sees it all: it recovers the log that the dead writer left.
    await using reader = await openTokenReader({ path });
    for (const { wallet, issuedAt } of acknowledged) {
      expect(await reader.findToken(labelOf(wallet), "hmac", new Date(issuedAt))).toBeDefined();
    }
  }
  await using store = await openTokenStore({ path, log: silentLog });
  const now = new Date(start * 1000);
  // Proofs of earlier runs ended more than an hour ago by this clock, and may be forgotten.
  const last = ofLastRun.slice(-300);
  const outcomes = await Promise.all(
    last.map(({ wallet, proofKey }) =>
      store.orderToken({ label: labelOf(wallet), kind: "hmac", proofKey, proofEndsAt: now, now, ttlSeconds: 60 }),
    ),
  );
  expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(["proof-already-used"]));
});
