/** Closed-loop load: so many connections, each sends its next request when it has its answer. */
import { type HttpConnection, openHttpConnection } from "./http-connection.ts";
import type { Stage } from "./stage.ts";
import { type Summary, summarize } from "./statistics.ts";

const giveUpMs = 20_000;

/** What a round of load gave. */
export type Load = { readonly perSecond: number; readonly ms: Summary; readonly seconds: number };

/**
 * Sends what `next` hands out until it has nothing more or the time is over, on kept connections that are warmed with
 * `warmUp` first. Every answer must be a 200, with the text `expects` in it if there is one: a fast refusal is no throughput.
 */
export async function hammer(
  stage: Stage,
  options: {
    readonly port: number;
    readonly connections: number;
    readonly seconds: number;
    readonly next: () => Buffer | undefined;
    readonly warmUp?: Buffer;
    readonly expects?: string;
  },
): Promise<Load> {
  const { port, next, warmUp, expects } = options;
  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => openHttpConnection(port, { keepsBody: expects !== undefined })),
  );
  try {
    if (warmUp !== undefined) await Promise.all(connections.map((connection) => expectOk(connection, warmUp, expects)));
    const times: number[] = [];
    const startedAt = performance.now();
    const endsAt = startedAt + options.seconds * 1000;
    await Promise.all(
      connections.map(async (connection) => {
        for (let request = next(); request !== undefined; request = next()) {
          const sentAt = performance.now();
          await expectOk(connection, request, expects);
          const now = performance.now();
          times.push(now - sentAt);
          if (now >= endsAt || stage.signal.aborted) return;
        }
      }),
    );
    stage.signal.throwIfAborted();
    const seconds = (performance.now() - startedAt) / 1000;
    return { perSecond: times.length / seconds, ms: summarize(times), seconds };
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** Sends one request after the other on one connection. */
export async function askInTurn(
  stage: Stage,
  options: { readonly port: number; readonly request: Buffer; readonly count: number },
): Promise<number[]> {
  const connection = await openHttpConnection(options.port);
  try {
    // The first ones pay for connections that the others find open.
    for (let index = 0; index < 20; index += 1) await expectOk(connection, options.request);
    const times: number[] = [];
    for (let index = 0; index < options.count && !stage.signal.aborted; index += 1) {
      const sentAt = performance.now();
      await expectOk(connection, options.request);
      times.push(performance.now() - sentAt);
    }
    stage.signal.throwIfAborted();
    return times;
  } finally {
    connection.close();
  }
}

/** Asks on one kept connection, about a millisecond apart, until the answer is that. Resolves to the moment of the answer. */
export async function untilAnswer(
  stage: Stage,
  port: number,
  request: Buffer,
  isIt: (answer: { readonly status: number; readonly body: string }) => boolean,
): Promise<number> {
  const deadline = performance.now() + giveUpMs;
  let connection = await openHttpConnection(port, { keepsBody: true });
  try {
    while (true) {
      const answer = await connection.send(request);
      const now = performance.now();
      if (isIt(answer)) return now;
      if (now > deadline) throw new Error(`still answers ${answer.status} ${answer.body} after ${giveUpMs} ms`);
      await stage.pause(1);
      if (!connection.isOpen()) connection = await openHttpConnection(port, { keepsBody: true });
    }
  } finally {
    connection.close();
  }
}

async function expectOk(connection: HttpConnection, request: Buffer, expects = ""): Promise<void> {
  const { status, body } = await connection.send(request);
  if (status === 200 && body.includes(expects)) return;
  throw new Error(`answered ${status} ${body}: ${request.toString("latin1").split("\r\n").slice(0, 2).join(" ")}`);
}
