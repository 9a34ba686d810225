/**
 * What it costs that no answer leaves before its record is on the disk: orders at the store with `synchronous = FULL`, as in
 * service, against `NORMAL`, which waits for the disk at checkpoints only. The two take turns within a round.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { DurabilityAnswer, DurabilityQuestion } from "./durability-worker.ts";
import { startLoadWorker } from "./load-worker.ts";
import { type Measured, printCount, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

/** Callers who wait at the same time, and whether their signatures are checked. The goal is for the last: issuing under load. */
const crowds = [
  { callers: 1, isProved: false },
  { callers: 32, isProved: false },
  { callers: 256, isProved: false },
  { callers: 256, isProved: true },
] as const;
const goalRatio = 0.9;

type Rates = { readonly durable: number; readonly relaxed: number };

/** Measures rounds of so many orders; a single caller makes a tenth of them. */
export async function measureDurability(stage: Stage, options: { readonly rounds: number; readonly orders: number }): Promise<Measured> {
  const { rounds, orders } = options;
  const dir = join(stage.dir, "durability");
  mkdirSync(dir);
  await using worker = await startLoadWorker<"ready", DurabilityQuestion, DurabilityAnswer>(
    new URL("./durability-worker.ts", import.meta.url),
    dir,
  );
  const found = [];
  for (const crowd of crowds) {
    const measured: Rates[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const rates = { durable: 0, relaxed: 0 };
      // Who comes first finds the disk's cache as the other left it: they take turns.
      for (const durability of round % 2 === 0 ? (["durable", "relaxed"] as const) : (["relaxed", "durable"] as const)) {
        const question = { ...crowd, durability, orders: crowd.callers === 1 ? Math.ceil(orders / 10) : orders };
        rates[durability] = (question.orders / (await worker.ask(question, stage.signal)).ms) * 1000;
      }
      // The first round only warms up.
      if (round > 0) measured.push(rates);
    }
    found.push({
      ...crowd,
      fullPerSecond: median(measured.map(({ durable }) => durable)),
      normalPerSecond: median(measured.map(({ relaxed }) => relaxed)),
      ratio: median(measured.map(({ durable, relaxed }) => durable / relaxed)),
    });
  }
  const ratio = found.at(-1)?.ratio ?? Number.NaN;
  return {
    key: "durability",
    figures: { ordersPerRound: orders, rounds, crowds: found },
    table: {
      title: `Orders at the store, answered when they are on the disk (medians of ${rounds} rounds of ${printCount(orders)})`,
      columns: ["", "FULL, orders/s", "NORMAL, orders/s", "FULL to NORMAL"],
      rows: found.map((each) => [
        `${each.callers} at once${each.isProved ? ", each signature checked before" : ""}`,
        printCount(each.fullPerSecond),
        printCount(each.normalPerSecond),
        printRatio(each.ratio),
      ]),
      note: "NORMAL answers before the disk has it, and is here to compare with. Those who wait at FULL share one wait for the disk.",
    },
    goals: [
      {
        name: "issuing at FULL against NORMAL, 256 at once",
        goal: `≥ ${goalRatio}x`,
        found: printRatio(ratio),
        isMet: ratio >= goalRatio,
      },
    ],
  };
}
