/**
 * A herd as frps hands it to its hook: every client's Login at its time, whatever became of the others (open loop), and its
 * NewProxy as soon as the Login is answered, with the user that the answer made of it. Times run from the moment at which a
 * call was due, so that a call which could not be sent in time is not a call that was quick.
 *
 * In a thread of its own: what it takes for sending and counting is not the measured one's.
 */
import { parentPort } from "node:worker_threads";
import type { PreparedLogin } from "./hook-logins.ts";
import { type HttpConnection, openHttpConnection, renderRequest } from "./http-connection.ts";
import { percentile, type Summary, summarize } from "./statistics.ts";

/** One herd. */
export type HerdQuestion = {
  readonly port: number;
  readonly authorization: string;
  readonly logins: readonly PreparedLogin[];
  /** How long the Logins take to arrive, evenly. */
  readonly seconds: number;
  /** Idle connections that are kept for the next call: 0 = a new one each; Go's client keeps 2. */
  readonly keptIdle: number;
};

/** What became of it. */
export type HerdAnswer = {
  readonly login: Summary;
  readonly newProxy: Summary;
  readonly all: Summary;
  readonly connections: number;
  readonly errors: number;
  readonly firstError: string | undefined;
  /** How much later than due the Logins were sent, p99: what of the times is this program's own. */
  readonly lateMs: number;
  readonly seconds: number;
};

/** A call that has no answer by then is an error. */
const patienceMs = 15_000;

type Answer = { readonly reject?: boolean; readonly content?: { readonly user: string; readonly metas: object; readonly run_id: string } };

async function run({ port, authorization, logins, seconds, keptIdle }: HerdQuestion): Promise<HerdAnswer> {
  const times = { login: [] as number[], newProxy: [] as number[] };
  const late: number[] = [];
  const idle: HttpConnection[] = [];
  let connections = 0;
  let errors = 0;
  let firstError: string | undefined;

  async function post(op: "Login" | "NewProxy", body: string): Promise<Answer> {
    const headers = { authorization, "user-agent": "Go-http-client/1.1", "x-frp-reqid": "0123456789abcdef" };
    const request = renderRequest({ host: "127.0.0.1", method: "POST", path: `/hook?op=${op}&version=0.1.0`, headers, body });
    let connection = idle.pop();
    while (connection?.isOpen() === false) connection = idle.pop();
    if (connection === undefined) {
      connections += 1;
      connection = await openHttpConnection(port, { keepsBody: true });
    }
    let isKept = false;
    try {
      const reply = await connection.send(request);
      if (reply.status !== 200) throw new Error(`${op}: ${reply.status} ${reply.body}`);
      const answer = JSON.parse(reply.body) as Answer;
      if (answer.reject !== false) throw new Error(`${op}: ${reply.body}`);
      isKept = idle.length < keptIdle;
      if (isKept) idle.push(connection);
      return answer;
    } finally {
      if (!isKept) connection.close();
    }
  }

  async function come({ label, body }: PreparedLogin, dueAt: number): Promise<void> {
    const { content } = await post("Login", body);
    const answeredAt = performance.now();
    times.login.push(answeredAt - dueAt);
    // One that answers without content, as node:http with nothing behind it does, keeps what it was told.
    const { user, metas, run_id } = content ?? { user: label, metas: { session: label }, run_id: label };
    const proxy = { user: { user, metas, run_id }, proxy_name: `${label}.app`, proxy_type: "http", subdomain: label };
    await post("NewProxy", JSON.stringify({ version: "0.1.0", op: "NewProxy", content: proxy }));
    times.newProxy.push(performance.now() - answeredAt);
  }

  const startedAt = performance.now();
  const step = (seconds * 1000) / logins.length;
  const coming: Promise<void>[] = [];
  while (coming.length < logins.length) {
    const now = performance.now();
    for (let index = coming.length; index < logins.length && startedAt + index * step <= now; index += 1) {
      const dueAt = startedAt + index * step;
      late.push(performance.now() - dueAt);
      coming.push(
        come(logins[index] as PreparedLogin, dueAt).catch((error: unknown) => {
          errors += 1;
          firstError ??= String(error);
        }),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const answered = Promise.all(coming).then(() => "all");
  const outcome = await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, patienceMs, "overdue").unref())]);
  const all = [...times.login, ...times.newProxy];
  // A refused or lost Login is one error, though its NewProxy never came.
  if (outcome === "overdue") {
    const missing = logins.length - times.newProxy.length - errors;
    errors += missing;
    firstError ??= `${missing} without an answer after ${patienceMs} ms`;
  }
  for (const connection of idle) connection.close();
  return {
    login: summarize(times.login),
    newProxy: summarize(times.newProxy),
    all: summarize(all),
    connections,
    errors,
    firstError,
    lateMs: percentile(late, 99),
    seconds: (performance.now() - startedAt) / 1000,
  };
}

parentPort?.on("message", (question: HerdQuestion) => {
  void run(question).then((answer) => parentPort?.postMessage(answer));
});
parentPort?.postMessage("ready");
