/**
 * Ends a session. frps has no call for it, but a Login with a run id that is in use takes its session over: frps closes
 * the former control and releases its proxies before it answers. Ours then goes away. The hook sees this Login like any
 * other and must let it pass; the `metas` are how it knows ours.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { FrpFault } from "./fault.ts";
import { isRecord } from "./hook-fields.ts";
import { redactFrpText } from "./log-line.ts";
import { deriveLoginKey } from "./login-key.ts";
import { frpVersion } from "./version-pin.ts";
import { createMuxReader, decodeMessage, encodeFirstStream, encodeMessage, loginRespType, loginType } from "./wire.ts";

/** How to reach frps and whom to end. Without `tls` the connection is plain; `tcpMux` must be what frps has (true). */
export type KickOptions = {
  readonly host: string;
  readonly port: number;
  readonly runId: string;
  readonly metas: Record<string, string>;
  readonly timeoutMs: number;
  readonly tls?: { readonly ca?: string; readonly serverName?: string; readonly rejectUnauthorized?: boolean };
  readonly tcpMux?: boolean;
  now(): Date;
};

/**
 * Ends the session with this run id: one Login of wire v1. Resolves when frps answered without an error; the session's
 * proxies are released by then, and its CloseProxy follows. A run id that nobody has is no error. Throws `KICK_FAILED`.
 *
 * The session's running hook call is waited for: never hold a lock across a kick that the hook's NewProxy takes too.
 */
export async function kick(options: KickOptions): Promise<void> {
  const failure = await exchangeLogin(options);
  if (failure === undefined) return;
  const words = redactFrpText(failure.replaceAll(options.runId === "" ? "\0" : options.runId, "[…]"));
  throw new FrpFault("KICK_FAILED", `the session was not ended: ${words}`);
}

/** Resolves with undefined, or with what went wrong. */
function exchangeLogin(options: KickOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = open(options);
    const settle = (failure: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => settle(`frps did not answer within ${options.timeoutMs} ms`), options.timeoutMs);
    socket.on("error", (error: NodeJS.ErrnoException) => settle(`the connection failed (${error.code ?? error.message})`));
    socket.on("close", () => settle("frps closed the connection without an answer"));

    const hasMux = options.tcpMux ?? true;
    const readMux = createMuxReader();
    let answer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      const step = hasMux ? readMux(chunk) : { payload: chunk, reply: Buffer.alloc(0), hasEnded: false };
      if (step.reply.length > 0) socket.write(step.reply);
      answer = Buffer.concat([answer, step.payload]);
      const message = decodeMessage(answer);
      if (message === "broken") settle("the answer is no message of frp");
      else if (message !== "more") settle(judgeAnswer(message));
      else if (step.hasEnded) settle("frps ended the stream without an answer");
    });
    const login = encodeMessage(loginType, deriveLogin(options));
    socket.write(hasMux ? encodeFirstStream(login) : login);
  });
}

function open(options: KickOptions): Socket {
  const { host, port, tls } = options;
  if (tls === undefined) return connect({ host, port, noDelay: true });
  return connectTls({
    host,
    port,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
    ...(tls.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: tls.rejectUnauthorized }),
  });
}

function deriveLogin(options: KickOptions): object {
  const timestamp = Math.floor(options.now().getTime() / 1000);
  return {
    version: frpVersion,
    timestamp,
    privilege_key: deriveLoginKey("", timestamp),
    run_id: options.runId,
    metas: options.metas,
  };
}

function judgeAnswer(message: { readonly type: number; readonly content: unknown }): string | undefined {
  if (message.type !== loginRespType || !isRecord(message.content)) return "the answer is no answer to a Login";
  const { error } = message.content;
  if (error === undefined || error === "") return undefined;
  return typeof error === "string" ? `frps said: ${error}` : "the answer is no answer to a Login";
}
