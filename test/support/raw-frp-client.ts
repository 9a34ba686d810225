/**
 * A frp client that says what it is told to, in any order and form: TLS (or plain TCP) → yamux → messages of wire v1
 * (`type u8 | length i64be | JSON`). After the answer to a Login the control stream is AES-128-CFB both ways, each
 * direction beginning with its 16-byte IV. It checks nothing of what it sends; everything it waits for has a deadline.
 */
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { createRawMux, type RawMux } from "./raw-frp-mux.ts";
import { recordSecret } from "./test-record.ts";

/** frp's type bytes, by what they mean. */
export const messageType = {
  login: "o",
  loginResp: "1",
  newProxy: "p",
  newProxyResp: "2",
  closeProxy: "c",
  newWorkConn: "w",
  reqWorkConn: "r",
  startWorkConn: "s",
  newVisitorConn: "v",
  newVisitorConnResp: "3",
  ping: "h",
} as const;

/** One message as it came. */
type RawMessage = { readonly type: string; readonly content: Record<string, unknown> };

/** frps's key of the control stream: the shared token is empty. */
const controlKey = pbkdf2Sync("", "frp", 64, 16, "sha1");
const waitMs = 8000;

/** One message; a string is sent as it is, so that it need not be JSON; `length` may lie. */
export function encodeRawMessage(type: string, content: unknown, length?: bigint): Buffer {
  const body = Buffer.from(typeof content === "string" ? content : JSON.stringify(content));
  const head = Buffer.alloc(9);
  head.write(type, 0, "latin1");
  head.writeBigInt64BE(length ?? BigInt(body.length), 1);
  return Buffer.concat([head, body]);
}

/** A stream on which messages are spoken. */
type RawConversation = {
  readonly stream: Duplex;
  send(type: string, content: unknown): void;
  sendBytes(bytes: Buffer): void;
  /** The next message of this type, or "ended" when the stream ends first. */
  next(type: string): Promise<Record<string, unknown> | "ended">;
  /** Both directions are encrypted from here on. */
  encrypt(): void;
  /** Resolves when the other side has ended it. */
  readonly ended: Promise<void>;
  /** After this the bytes of the stream are somebody else's to read: what was received and not taken is returned. */
  release(): Buffer;
  /** Calls this for every work connection that frps asks for, also for those it has asked for already. */
  answerRequests(answer: () => void): void;
};

/** The client. */
export type RawFrpClient = Disposable & {
  readonly socket: Socket;
  readonly control: RawConversation;
  /** Opens a further stream. */
  open(): RawConversation;
  /** Sends a Login; without an error in the answer the control stream is encrypted afterwards. */
  login(fields: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Sends a NewProxy. Empty: it was registered; "ended": the control stream was ended instead; else frps's error text. */
  newProxy(fields: unknown): Promise<string>;
  closeProxy(name: string): void;
  /** Offers a work connection on a stream of its own. */
  newWorkConn(fields: Record<string, unknown>): RawConversation;
  /** From now on work connections are opened when frps asks for them, and joined to this local port. */
  serve(runId: string, port: number): void;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
};

/** Connects and opens the first stream. */
export async function connectRaw(options: { readonly port: number; readonly isPlain?: boolean }): Promise<RawFrpClient> {
  const socket = await connectRawSocket(options);
  const mux = createRawMux(socket);
  const control = createConversation(mux);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return {
    socket,
    control,
    closed,
    open: () => createConversation(mux),
    async login(fields) {
      control.send(messageType.login, fields);
      const answer = await control.next(messageType.loginResp);
      if (answer === "ended") return { error: "ended" };
      if (typeof answer["error"] !== "string" || answer["error"] === "") control.encrypt();
      if (typeof answer["run_id"] === "string") recordSecret("a ticket", answer["run_id"]);
      return answer;
    },
    async newProxy(fields) {
      control.send(messageType.newProxy, fields);
      const answer = await control.next(messageType.newProxyResp);
      return answer === "ended" ? "ended" : String(answer["error"] ?? "");
    },
    closeProxy: (name) => control.send(messageType.closeProxy, { proxy_name: name }),
    newWorkConn(fields) {
      const work = createConversation(mux);
      work.send(messageType.newWorkConn, fields);
      return work;
    },
    serve(runId, port) {
      control.answerRequests(() => void serveOne(createConversation(mux), runId, port));
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** A socket to the port, TLS unless `isPlain`. The certificate is not looked at: it is the other side that is tried. */
export async function connectRawSocket(options: { readonly port: number; readonly isPlain?: boolean }): Promise<Socket> {
  const { port, isPlain = false } = options;
  const socket = isPlain
    ? connect({ host: "127.0.0.1", port, noDelay: true })
    : connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, isPlain ? "connect" : "secureConnect", { signal: AbortSignal.timeout(waitMs) });
  socket.on("error", () => {});
  return socket;
}

async function serveOne(work: RawConversation, runId: string, port: number): Promise<void> {
  work.send(messageType.newWorkConn, { run_id: runId });
  const start = await work.next(messageType.startWorkConn).catch(() => "ended" as const);
  if (start === "ended" || start["error"] !== undefined) return void work.stream.destroy();
  const app = connect({ host: "127.0.0.1", port });
  app.on("error", () => work.stream.destroy());
  app.on("close", () => work.stream.destroy());
  work.stream.on("close", () => app.destroy());
  app.write(work.release());
  work.stream.pipe(app).pipe(work.stream);
}

function createConversation(mux: RawMux): RawConversation {
  const stream = mux.openStream();
  const inbox: RawMessage[] = [];
  let received: Buffer = Buffer.alloc(0);
  let hasEnded = false;
  /** What follows the answer to a Login is encrypted, what follows a StartWorkConn is no message: both wait for their reader. */
  let isHeld = false;
  let answerRequest: (() => void) | undefined;
  /** Says "change" when a message has come or the stream has ended. */
  const changes = new EventEmitter();
  let encode = (bytes: Buffer): Buffer => bytes;
  let decode = (bytes: Buffer): Buffer => bytes;
  const ended = new Promise<void>((resolve) => {
    stream.once("close", resolve);
    stream.once("end", resolve);
  });

  void ended.then(() => {
    hasEnded = true;
    changes.emit("change");
  });
  const take = (chunk: Buffer): void => {
    received = Buffer.concat([received, decode(chunk)]);
    while (!isHeld && received.length >= 9 && received.length >= 9 + Number(received.readBigInt64BE(1))) {
      const end = 9 + Number(received.readBigInt64BE(1));
      const content = JSON.parse(received.toString("utf8", 9, end)) as Record<string, unknown>;
      const message = { type: received.toString("latin1", 0, 1), content };
      received = received.subarray(end);
      if (answerRequest !== undefined && message.type === messageType.reqWorkConn) answerRequest();
      else inbox.push(message);
      isHeld = message.type === messageType.loginResp || message.type === messageType.startWorkConn;
    }
    changes.emit("change");
  };
  stream.on("data", take);

  const conversation: RawConversation = {
    stream,
    ended,
    send: (type, content) => conversation.sendBytes(encodeRawMessage(type, content)),
    sendBytes: (bytes) => void (stream.destroyed || stream.write(encode(bytes))),
    async next(type) {
      const signal = AbortSignal.timeout(waitMs);
      for (;;) {
        const at = inbox.findIndex((message) => message.type === type);
        const [message] = at < 0 ? [] : inbox.splice(at, 1);
        if (message !== undefined) return message.content;
        if (hasEnded) return "ended";
        if (signal.aborted)
          throw new Error(`no message "${type}" within ${waitMs} ms; came instead: ${inbox.map((one) => one.type).join("")}`);
        // Only the deadline rejects, and the loop says so.
        await once(changes, "change", { signal }).catch(() => {});
      }
    },
    encrypt() {
      const iv = randomBytes(16);
      const cipher = createCipheriv("aes-128-cfb", controlKey, iv);
      let head = iv;
      encode = (bytes) => {
        const out = Buffer.concat([head, cipher.update(bytes)]);
        head = Buffer.alloc(0);
        return out;
      };
      let theirIv = Buffer.alloc(0);
      let decipher: ReturnType<typeof createDecipheriv> | undefined;
      decode = (bytes) => {
        if (decipher !== undefined) return decipher.update(bytes);
        theirIv = Buffer.concat([theirIv, bytes]);
        if (theirIv.length < 16) return Buffer.alloc(0);
        decipher = createDecipheriv("aes-128-cfb", controlKey, theirIv.subarray(0, 16));
        return decipher.update(theirIv.subarray(16));
      };
      isHeld = false;
      const left = received;
      received = Buffer.alloc(0);
      if (left.length > 0) take(left);
    },
    answerRequests(answer) {
      answerRequest = answer;
      for (const { type } of inbox.splice(0)) if (type === messageType.reqWorkConn) answer();
    },
    release() {
      stream.off("data", take);
      stream.pause();
      const left = received;
      received = Buffer.alloc(0);
      return left;
    },
  };
  return conversation;
}
