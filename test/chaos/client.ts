/**
 * One run of stock frpc with an app of its own: who answers is known to the run. Restarted, it is another client with
 * another app behind it. What frpc prints about its proxy is told to the history.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { RunningKeyhole } from "../support/keyhole-process.ts";
import { now, type Tell } from "./history.ts";

/** A running frpc. */
export type Client = {
  readonly id: string;
  readonly startedAt: number;
  isFrozen: boolean;
  hasEnded: boolean;
  /** It has registered its proxy at least once. */
  wasEstablished: boolean;
  /** The end of what it has printed. */
  output(): string;
  freeze(): void;
  thaw(): void;
  end(how: "killed" | "stopped"): Promise<void>;
};

const keptOutput = 4000;
/** What frpc prints has its ticket in it, and colours. */
const redact = (line: string): string => line.replace(/\u001b\[[0-9;]*m/g, "").replace(/[A-Za-z0-9_-]{63}/g, "(ticket)");

/** Starts the app, then frpc on the text of a client's file. */
export async function startClient(
  keyhole: RunningKeyhole,
  options: {
    readonly id: string;
    readonly label: string;
    readonly file: string;
    readonly issuedAt: number;
    /** Nonces of POSTs that an app of this label has had: a second one must not be reached by the same. */
    readonly posted: Set<string>;
    readonly tell: Tell;
  },
): Promise<Client> {
  const { id, label, tell } = options;
  const app = await startApp(options);
  const folder = join(keyhole.dir, "clients", id);
  mkdirSync(folder, { recursive: true });
  const text = options.file.replace(/^(\s*localPort\s*=\s*)\d+/m, `$1${(app.address() as AddressInfo).port}`);
  writeFileSync(join(folder, "frpc.toml"), text, { mode: 0o600 });
  const startedAt = now();
  tell({ kind: "client-started", at: startedAt, label, client: id, issuedAt: options.issuedAt });
  // The file lies in its working directory, as its own CA; its whole path says whose process this is.
  const child = spawn(keyhole.frpc, ["-c", join(folder, "frpc.toml")], { cwd: folder, env: {}, stdio: ["ignore", "pipe", "pipe"] });
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let output = "";
  const client: Client = {
    id,
    startedAt,
    isFrozen: false,
    hasEnded: false,
    wasEstablished: false,
    output: () => output,
    freeze() {
      client.isFrozen = true;
      tell({ kind: "client-frozen", at: now(), label, client: id });
      child.kill("SIGSTOP");
    },
    thaw() {
      if (client.hasEnded || !client.isFrozen) return;
      client.isFrozen = false;
      tell({ kind: "client-thawed", at: now(), label, client: id });
      child.kill("SIGCONT");
    },
    async end(how) {
      if (client.hasEnded) return;
      client.hasEnded = true;
      tell({ kind: how === "killed" ? "client-killed" : "client-stopped", at: now(), label, client: id });
      child.kill(how === "killed" ? "SIGKILL" : "SIGTERM");
      // A stopped process takes nothing but KILL until it goes on.
      child.kill("SIGCONT");
      await gone;
      endApp(app);
    },
  };
  readLines(child, (line) => {
    output = `${output}${redact(line)}\n`.slice(-keptOutput);
    if (!line.includes("start proxy success") || client.hasEnded) return;
    client.wasEstablished = true;
    tell({ kind: "client-established", at: now(), label, client: id });
  });
  child.once("close", (code, signal) => {
    if (client.hasEnded) return;
    client.hasEnded = true;
    endApp(app);
    tell({ kind: "client-died", at: now(), label, client: id, detail: `code ${code}, signal ${signal}: ${output.slice(-500)}` });
  });
  return client;
}

function readLines(child: ChildProcess, tellLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream?.on("data", (chunk) => {
      const lines = `${rest}${String(chunk)}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) tellLine(line);
    });
  }
}

/** Says whose app it is and to which request it answers, and notices a POST that comes again. */
async function startApp({ id, label, posted, tell }: Parameters<typeof startClient>[1]): Promise<Server> {
  const server = createServer((request, response) => {
    const nonce = (request.url ?? "").slice("/n/".length);
    if (request.method === "POST") {
      if (posted.has(nonce)) tell({ kind: "reached-again", at: now(), label, client: id, nonce });
      posted.add(nonce);
    }
    const answer = JSON.stringify({ label, client: id, nonce });
    request.resume().once("end", () => response.writeHead(200, { "content-type": "application/json" }).end(answer));
  });
  // An app that closes an idle connection just as frps uses it again has failed a request by itself, whatever was killed.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function endApp(app: Server): void {
  app.closeAllConnections();
  app.close();
}
