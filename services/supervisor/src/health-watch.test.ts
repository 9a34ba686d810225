import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type HealthRound, watchHealth } from "./health-watch.ts";
import { probeHealth } from "./probe-health.ts";

/** Watches for so many rounds, with a clock that moves as told: by so many milliseconds in each round. */
async function watchFor(rounds: number, clockMsOf: (round: number) => number, probe: (signal: AbortSignal) => Promise<boolean>) {
  const watching = new AbortController();
  const seen: HealthRound[] = [];
  let clock = 0;
  let looks = 0;
  await watchHealth({
    intervalMs: 20,
    signal: watching.signal,
    probe,
    now: () => {
      // Asked twice a round: at its begin and at its end.
      if (looks % 2 === 1) clock += clockMsOf((looks - 1) / 2);
      looks += 1;
      return new Date(clock);
    },
    onRound(round) {
      seen.push(round);
      if (seen.length === rounds) watching.abort();
    },
  });
  return seen;
}

const answered = { isAnswered: true, wasStalled: false };
const missed = { isAnswered: false, wasStalled: false };

test("7: each round says whether frps answered; a failed question is none", async () => {
  const answers = [true, false, true];
  expect(
    await watchFor(
      3,
      () => 20,
      async () => answers.shift() === true,
    ),
  ).toEqual([answered, missed, answered]);
  expect(
    await watchFor(
      1,
      () => 20,
      async () => {
        throw new Error("refused");
      },
    ),
  ).toEqual([missed]);
});

test("7: a round that took far longer than its time was our own sleep, and says so; a clock that goes back is no sleep", async () => {
  const seen = await watchFor(
    4,
    (round) => [20, 10_000, -5_000, 39][round] ?? 20,
    async () => false,
  );
  expect(seen.map(({ wasStalled }) => wasStalled)).toEqual([false, true, false, false]);
});

test("7: a late answer counts for the round in which it comes; open questions are given up when the watching ends", async () => {
  const open: AbortSignal[] = [];
  const answers: ((isHealthy: boolean) => void)[] = [];
  const seen = await watchFor(
    3,
    () => 20,
    (signal) => {
      open.push(signal);
      if (open.length === 3) answers[0]?.(true);
      return new Promise((resolve) => answers.push(resolve));
    },
  );
  expect(seen).toEqual([missed, missed, answered]);
  expect(open.map(({ aborted }) => aborted)).toEqual([true, true, true]);
});

test("a server is healthy if it answers /healthz with 200; another status, silence and nobody are not", async () => {
  const server = createServer((request, response) => {
    if (request.url === "/healthz") response.writeHead(status).end("ok");
  });
  let status = 200;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const unlimited = new AbortController().signal;
  expect(await probeHealth(port, unlimited)).toBe(true);
  status = 503;
  expect(await probeHealth(port, unlimited)).toBe(false);
  server.removeAllListeners("request");
  expect(await probeHealth(port, AbortSignal.timeout(20))).toBe(false);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(await probeHealth(port, unlimited)).toBe(false);
});
