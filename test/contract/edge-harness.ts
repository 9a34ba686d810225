/**
 * A Node edge between a visitor and a stand-in for frps's vhost port. The stand-in answers as frps does for a genuine app
 * (with the marker) or as the test says, because a real frps cannot be made to fail on request. The real chain is in e2e.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { connect, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Door, type Label, parseLabel } from "@keyhole/core";
import { createDoor, type NodeEdge, type NodeEdgeOptions, startNodeEdge } from "@keyhole/edge";
import { createRecordingLog } from "../support/recording-log.ts";
import { recordSecret } from "../support/test-record.ts";
import { first } from "./edge-certificates.ts";

export const domain = "tunnel.localhost";
const marker = "X-Keyhole-App";

export function labelOf(digit: string): Label {
  const label = parseLabel(`0x${digit.repeat(40)}`);
  if (label === undefined) throw new Error(`no label: ${digit}`);
  return label;
}
/** Live from the map file on, without a transition. */
export const live = labelOf("a");
export const offline = labelOf("0");

type FakeFrps = {
  /** What the vhost port does with a request. */
  handle: RequestListener;
  readonly seen: IncomingMessage[];
  readonly server: Server;
  readonly control: TcpServer;
  readonly controlSockets: Set<Socket>;
  close(): Promise<void>;
};

/** Answers as an app behind frps: with the marker. */
export function asApp(res: ServerResponse, status = 200, headers: Record<string, string | string[]> = {}): ServerResponse {
  res.writeHead(status, { [marker]: "1", ...headers });
  return res;
}

/** frps's own page: no marker. */
export function asFrps(res: ServerResponse, status = 404): void {
  res.writeHead(status, { "Content-Type": "text/html; charset=utf-8" });
  res.end(status === 504 ? "" : "<html>frp: the page you requested was not found</html>");
}

async function startFakeFrps(): Promise<FakeFrps> {
  const sockets = new Set<Socket>();
  const controlSockets = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: 60_000 });
  const fake: FakeFrps = {
    handle: (req, res) => {
      req.resume();
      asApp(res, 200, { "Content-Type": "text/plain" }).end(`hello from ${req.headers.host}`);
    },
    seen: [],
    server,
    control: createTcpServer({ allowHalfOpen: true }, (socket) => {
      controlSockets.add(socket);
      socket.on("error", () => {}).on("close", () => controlSockets.delete(socket));
    }),
    controlSockets,
    async close() {
      server.close();
      fake.control.close();
      for (const socket of [...sockets, ...controlSockets]) socket.destroy();
    },
  };
  server.on("request", (req, res) => {
    fake.seen.push(req);
    fake.handle(req, res);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  await Promise.all([listening(server), listening(fake.control)]);
  return fake;
}

function listening(server: Server | TcpServer): Promise<void> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
}

export function portOf(server: Server | TcpServer): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening");
  return address.port;
}

export type Harness = {
  readonly edge: NodeEdge;
  readonly door: Door;
  readonly frps: FakeFrps;
  readonly tokenService: FakeFrps;
  readonly dir: string;
  readonly options: NodeEdgeOptions;
  readonly logged: { readonly level: string; readonly fields: object; readonly message: string }[];
  /** Starts one more edge on the same folder, as after a restart. */
  again(over?: Partial<NodeEdgeOptions>): Promise<NodeEdge>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function openHarness(over: Partial<NodeEdgeOptions> & { isSecure?: boolean } = {}): Promise<Harness> {
  const { isSecure, ...rest } = over;
  const dir = await mkdtemp(join(tmpdir(), "keyhole-edge-"));
  const [frps, tokenService] = await Promise.all([startFakeFrps(), startFakeFrps()]);
  const certFile = join(dir, "edge.crt");
  const keyFile = join(dir, "edge.key");
  await Promise.all([
    writeFile(certFile, first.cert),
    writeFile(keyFile, first.key),
    writeFile(join(dir, "live.map"), `${live} 2026-01-01T00:00:00.000Z\n`),
  ]);
  const logged: Harness["logged"][number][] = [];
  const recording = createRecordingLog();
  const note = (level: keyof typeof recording & ("debug" | "info" | "warn" | "error")) => (fields: object, message: string) => {
    logged.push({ level, fields, message });
    recording[level](fields, message);
  };
  let requests = 0;
  const options: NodeEdgeOptions = {
    domain,
    publicScheme: "https",
    mapsDir: dir,
    marker,
    appTimeoutSeconds: 60,
    visitors: { host: "127.0.0.1", port: 0, ...(isSecure === true ? { certFile, keyFile } : {}) },
    control: { host: "127.0.0.1", port: 0, certFile, keyFile },
    frps: { host: "127.0.0.1", bindPort: portOf(frps.control), vhostPort: portOf(frps.server) },
    tokenService: {
      host: "127.0.0.1",
      port: portOf(tokenService.server),
      edgePassword: recordSecret("a password between the parts", "password of the harness"),
    },
    trustedProxies: [],
    now: () => new Date(),
    stopGraceMs: 300,
    // Every visitor and client of a test has one address.
    limits: { connectionsPerAddress: 100_000, loginsPerAddressPerMinute: 1_000_000 },
    // Labels are settled from the start; who wants a fresh edge says so.
    returnMs: 0,
    monotonicMs: () => performance.now(),
    newRequestId: () => `request-${requests++}`,
    log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
    ...rest,
  };
  const edges = [await startNodeEdge(options)];
  const edge = edges[0] as NodeEdge;
  return {
    edge,
    door: createDoor({ mapsDir: dir, runtime: edge.runtime, now: options.now, log: options.log }),
    frps,
    tokenService,
    dir,
    options,
    logged,
    async again(overAgain = {}) {
      const next = await startNodeEdge({ ...options, ...overAgain });
      edges.push(next);
      return next;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(edges.map((each) => each.stop()));
      await Promise.all([frps.close(), tokenService.close()]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export type Reply = {
  readonly status: number;
  readonly headers: Headers;
  readonly rawHeaders: string[];
  readonly body: Buffer;
  readonly json: Record<string, unknown>;
};

/** One request with any Host, through node:http (fetch would not let us choose it). */
export async function visit(
  edge: NodeEdge,
  host: string,
  options: {
    method?: string;
    path?: string;
    headers?: Record<string, string | string[]>;
    body?: string | Buffer;
    localAddress?: string;
  } = {},
): Promise<Reply> {
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1",
      port: edge.visitorsPort,
      path: options.path ?? "/",
      method: options.method ?? "GET",
      headers: { Host: host, ...options.headers },
      agent: false,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    sent.on("error", reject);
    sent.on("response", (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const body = Buffer.concat(chunks);
        const isJson = (answer.headers["content-type"] ?? "").includes("json") && body.length > 0;
        const headers = new Headers();
        for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2) {
          headers.append(answer.rawHeaders[index] as string, answer.rawHeaders[index + 1] as string);
        }
        resolve({
          status: answer.statusCode ?? 0,
          headers,
          rawHeaders: answer.rawHeaders,
          body,
          json: isJson ? JSON.parse(body.toString()) : {},
        });
      });
    });
    sent.end(options.body);
  });
}

export const hostOf = (label: Label): string => `${label}.${domain}`;

/** Sends bytes as they are and collects what comes back, until the edge closes, `until` is seen, or the deadline. */
export function sendRaw(
  port: number,
  bytes: string | Buffer,
  options: { until?: RegExp; deadlineMs?: number } = {},
): Promise<{ text: string; isClosed: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const text = (): string => Buffer.concat(chunks).toString("latin1");
    let isOver = false;
    const finish = (isClosed: boolean): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: text(), isClosed });
    };
    const timer = setTimeout(() => finish(false), options.deadlineMs ?? 5000);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (options.until?.test(text()) === true) finish(false);
    });
    socket.on("error", () => finish(true));
    socket.on("close", () => finish(true));
  });
}

/** Waits for a fact, with a deadline that says what was missing. */
export async function eventually(what: string, fact: () => boolean | Promise<boolean>, deadlineMs = 5000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await fact())) {
    if (performance.now() > end) throw new Error(`did not happen within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Reads a figure again and again until it is above 0 and has stood still for a while. */
export async function observeStill(what: string, read: () => number, stillMs = 100, deadlineMs = 10_000): Promise<number> {
  const end = performance.now() + deadlineMs;
  let last = read();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, stillMs));
    const figure = read();
    if (figure > 0 && figure === last) return figure;
    if (performance.now() > end) throw new Error(`never stood still: ${what}`);
    last = figure;
  }
}
