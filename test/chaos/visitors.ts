/**
 * Visitors of every wallet at a steady pace, as long as the run lasts: on connections of their own and on kept ones, GET and
 * POST in turn, each with a nonce that the app must give back.
 */
import { Agent } from "node:http";
import { ask } from "./ask.ts";
import { now, type Tell } from "./history.ts";
import type { Person } from "./person.ts";
import type { RoundRequest } from "./recovery.ts";

/** What visitors of a label saw last. */
type LastSeen = {
  /** The newest request that an app has answered: when it began, and who that was. */
  readonly good: { readonly startedAt: number; readonly client: string } | undefined;
  /** When the newest request began that was not answered so. */
  readonly badAt: number;
};

export type Visitors = AsyncDisposable & {
  lastSeen(label: string): LastSeen;
  /** Requests of a label that began after the instant. Older ones are forgotten. */
  since(label: string, at: number): readonly RoundRequest[];
  readonly counts: { requests: number; readonly answers: Record<string, number> };
};

const timeoutMs = 15_000;
/** While nobody answers, more would only wait behind. */
const mostUnderWay = 40;
const oneOfThesePosts = 5;

type Watched = { good: LastSeen["good"]; badAt: number; requests: RoundRequest[]; underWay: number; sent: number };

/** Starts them. */
export function startVisitors(
  port: number,
  people: readonly Person[],
  options: { readonly everyMs: number; readonly tell: Tell },
): Visitors {
  const { tell, everyMs } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: 400, timeout: 60_000 });
  const watched = new Map<string, Watched>();
  const pending = new Set<Promise<void>>();
  const counts: Visitors["counts"] = { requests: 0, answers: {} };

  async function visit({ label, host }: Person, seen: Watched): Promise<void> {
    seen.sent += 1;
    seen.underWay += 1;
    counts.requests += 1;
    const nonce = `${label.slice(2, 10)}-${seen.sent}`;
    const method = seen.sent % oneOfThesePosts === 0 ? "POST" : "GET";
    const startedAt = now();
    const { outcome } = await ask({
      port,
      host,
      path: `/n/${nonce}`,
      method,
      ...(method === "POST" ? { body: "x".repeat(200) } : {}),
      ...(seen.sent % 2 === 0 ? { agent } : {}),
      timeoutMs,
    });
    const at = now();
    seen.underWay -= 1;
    const app = outcome.kind === "answered" && outcome.status === 200 ? outcome.app : undefined;
    const word = outcome.kind === "failed" ? outcome.error : `${outcome.status}${outcome.code === undefined ? "" : ` ${outcome.code}`}`;
    counts.answers[word] = (counts.answers[word] ?? 0) + 1;
    if (app === undefined) seen.badAt = Math.max(seen.badAt, startedAt);
    else if (seen.good === undefined || startedAt > seen.good.startedAt) seen.good = { startedAt, client: app.client };
    seen.requests.push({ startedAt, endedAt: at, isGood: app !== undefined });
    tell({ kind: "request", at, startedAt, label, method, nonce, outcome });
  }

  const timers = people.map((person) => {
    const seen: Watched = { good: undefined, badAt: 0, requests: [], underWay: 0, sent: 0 };
    watched.set(person.label, seen);
    return setInterval(() => {
      if (seen.underWay >= mostUnderWay) return;
      const visiting = visit(person, seen);
      pending.add(visiting);
      void visiting.finally(() => pending.delete(visiting));
    }, everyMs);
  });

  return {
    counts,
    lastSeen: (label) => watched.get(label) ?? { good: undefined, badAt: 0 },
    since(label, at) {
      const seen = watched.get(label);
      if (seen === undefined) return [];
      seen.requests = seen.requests.filter(({ startedAt }) => startedAt >= at);
      return seen.requests;
    },
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(pending);
      agent.destroy();
    },
  };
}
