/**
 * Asks frps for its health, round after round, as long as it is ready: a frozen process (SIGSTOP, a deadlock) keeps its
 * ports and its pid, and only its silence tells. The counting is `supervision.ts`'s; here are the rounds: a question at the
 * begin of each, and at its end whether any answer has come. A late answer to an earlier question counts: who is slow under
 * load is not frozen, and must not be killed for it.
 */
import { setTimeout as wait, setImmediate as waitForInput } from "node:timers/promises";

/** What came of a round. `wasStalled`: it took more than twice its time by the clock, so we were asleep and not frps. */
export type HealthRound = { readonly isAnswered: boolean; readonly wasStalled: boolean };

/** Asks until aborted. The clock may jump: then a round says that it was stalled, and nothing worse. */
export async function watchHealth(options: {
  intervalMs: number;
  signal: AbortSignal;
  probe(signal: AbortSignal): Promise<boolean>;
  now(): Date;
  onRound(round: HealthRound): void;
}): Promise<void> {
  const { intervalMs, signal, now } = options;
  let isAnswered = false;
  const ask = (): Promise<void> =>
    options.probe(signal).then(
      (isHealthy) => {
        isAnswered ||= isHealthy;
      },
      () => undefined,
    );
  while (!signal.aborted) {
    const dueAt = now().getTime() + intervalMs;
    isAnswered = false;
    void ask();
    await wait(intervalMs, undefined, { signal }).catch(() => undefined);
    // An answer that came while we were late lies in the socket: it is read before we judge.
    await waitForInput();
    if (signal.aborted) return;
    options.onRound({ isAnswered, wasStalled: now().getTime() - dueAt > intervalMs });
  }
}
