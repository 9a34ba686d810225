/** Closed-loop load with a connection for every request: what frps does when many clients come at once (Go keeps two idle). */
import type { Load } from "./hammer.ts";
import { openHttpConnection } from "./http-connection.ts";
import type { Stage } from "./stage.ts";
import { summarize } from "./statistics.ts";

/** Sends what `next` hands out; every answer must be a 200 with the text `expects` in it. Times include the connecting. */
export async function churn(
  stage: Stage,
  options: {
    readonly port: number;
    readonly connections: number;
    readonly seconds: number;
    readonly next: () => Buffer | undefined;
    readonly expects: string;
  },
): Promise<Load> {
  const { port, next, expects } = options;
  const times: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + options.seconds * 1000;
  const sendInTurn = async (): Promise<void> => {
    for (let request = next(); request !== undefined; request = next()) {
      const sentAt = performance.now();
      const connection = await openHttpConnection(port, { keepsBody: true });
      try {
        const { status, body } = await connection.send(request);
        if (status !== 200 || !body.includes(expects)) throw new Error(`answered ${status} ${body}`);
      } finally {
        connection.close();
      }
      const now = performance.now();
      times.push(now - sentAt);
      if (now >= endsAt || stage.signal.aborted) return;
    }
  };
  await Promise.all(Array.from({ length: options.connections }, sendInTurn));
  stage.signal.throwIfAborted();
  const seconds = (performance.now() - startedAt) / 1000;
  return { perSecond: times.length / seconds, ms: summarize(times), seconds };
}
