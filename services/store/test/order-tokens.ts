/**
 * A process to be killed: orders tokens as fast as it can, eight at a time, and prints each one that was acknowledged.
 * `node order-tokens.ts <tokens.db> <unix seconds>`
 */
import { openTokenStore } from "../src/index.ts";
import { labelOf, silentLog } from "./temporary-folder.ts";

const [path = "", start = "0"] = process.argv.slice(2);
const store = await openTokenStore({ path, log: silentLog });

async function orderForEver(wallet: number): Promise<never> {
  for (let step = 0; ; step += 1) {
    const now = new Date((Number(start) + step) * 1000);
    const proofKey = `${start}/${wallet}/${step}`;
    const order = {
      label: labelOf(wallet + 1),
      kind: "hmac",
      proofKey,
      proofEndsAt: new Date(now.getTime() + 300_000),
      now,
      ttlSeconds: 86_400,
    } as const;
    const outcome = await store.orderToken(order);
    if (outcome.outcome !== "recorded") throw new Error(`expected a token, got ${outcome.outcome}`);
    process.stdout.write(`${JSON.stringify({ wallet: wallet + 1, proofKey, issuedAt: outcome.token.issuedAt })}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, wallet) => orderForEver(wallet)));
