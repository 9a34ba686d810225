/** Which app answers a wallet's address, and what a steady visitor was told. */
import { domain, type RunningKeyhole } from "./keyhole-process.ts";
import { startVisiting, visit } from "./visitor.ts";
import { waitForFact } from "./wait-for-fact.ts";
import type { Wallet } from "./wallet.ts";

/** The public host of a wallet. */
export const hostOf = (wallet: Wallet): string => `${wallet.label}.${domain}`;

/** Resolves when the wallet's address is answered by the app of this name. */
export async function servedBy(keyhole: RunningKeyhole, wallet: Wallet, name: string, timeoutMs = 15_000): Promise<void> {
  let last = "";
  await waitForFact(
    `${name} serves`,
    async () => {
      const answer = await visit(keyhole.edgePort, hostOf(wallet), { timeoutMs: 5000 });
      last = `${answer.status} ${answer.body.slice(0, 300)}`;
      return answer.status === 200 && answer.body === name ? true : undefined;
    },
    { timeoutMs, describe: () => last },
  );
}

/** Visits the wallet's address all the time, with short and long requests. */
export const startVisitingWallet = (keyhole: RunningKeyhole, wallet: Wallet): ReturnType<typeof startVisiting> =>
  startVisiting(keyhole.edgePort, hostOf(wallet), { everyMs: 20, paths: ["/?ms=1", "/?ms=40", "/?ms=150"] });

/** What was answered with anything but 200, in words. */
export const failuresOf = (load: ReturnType<typeof startVisiting>): string[] =>
  load.visits
    .filter((one) => one instanceof Error || one.status !== 200)
    .map((one) =>
      one instanceof Error ? `${one.message} ${(one as NodeJS.ErrnoException).code}` : `${one.status} ${one.body.slice(0, 200)}`,
    );

/** Resolves when so many more visits are over than now. */
export async function waitForVisits(load: ReturnType<typeof startVisiting>, more: number): Promise<void> {
  const wanted = load.visits.length + more;
  await waitForFact(`${more} more visits`, () => (load.visits.length >= wanted ? true : undefined), { timeoutMs: 30_000 });
}
