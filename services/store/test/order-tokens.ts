/**
 * A process to be killed: orders tokens as fast as it can, for eight wallets at a time, revokes at every fifth step, and
 * prints each one that was acknowledged. `node order-tokens.ts <tokens.db> <unix seconds>`
 */
import { openTokenStore } from "../src/index.ts";
import { orderOf } from "./made-up-orders.ts";
import { silentLog } from "./temporary-folder.ts";

const [path = "", start = "0"] = process.argv.slice(2);
const store = await openTokenStore({ path, log: silentLog });

async function orderForEver(wallet: number): Promise<never> {
  for (let step = 0; ; step += 1) {
    const order = orderOf(Number(start), wallet, step);
    const outcome = step % 5 === 4 ? await store.revoke(order) : await store.orderToken(order);
    const said = { wallet, step, proofKey: order.proofKey };
    if (outcome.outcome === "recorded") process.stdout.write(`${JSON.stringify({ ...said, issuedAt: outcome.token.issuedAt })}\n`);
    else if ("notBefore" in outcome) process.stdout.write(`${JSON.stringify({ ...said, notBefore: outcome.notBefore })}\n`);
    else throw new Error(`expected a token or a revocation, got ${outcome.outcome}`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, index) => orderForEver(index + 1)));
