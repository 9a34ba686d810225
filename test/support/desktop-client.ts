/** A desktop as the public API meant it: asks for a token, writes the file it is given, runs stock frpc in its folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { domain, type RunningKeyhole } from "./keyhole-process.ts";
import { visit } from "./visitor.ts";
import { waitForFact } from "./wait-for-fact.ts";
import type { Wallet } from "./wallet.ts";

/** A running stock frpc. */
export type DesktopClient = AsyncDisposable & {
  readonly pid: number;
  readonly output: () => string;
  /** Resolves when frpc has printed this text (again after `mark`). */
  saw(text: string, timeoutMs?: number): Promise<void>;
  /** From here on `saw` looks only at what comes. */
  mark(): void;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and resolves when frpc is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
};

let clients = 0;
let lastTimestamp = 0;

/** A timestamp that no proof of this run had: a proof is spent once, and tests are faster than a second. */
function nextTimestamp(): number {
  lastTimestamp = Math.max(lastTimestamp + 1, Math.floor(Date.now() / 1000) - 200);
  return lastTimestamp;
}

/** Asks the public API for a token as a frpc.toml. */
export async function requestClientConfig(keyhole: RunningKeyhole, wallet: Wallet, localPort: number): Promise<string> {
  const answer = await visit(keyhole.edgePort, domain, {
    path: `/v1/tunnel/token?port=${localPort}`,
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/toml" },
    body: JSON.stringify(wallet.prove(nextTimestamp())),
  });
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.body}`);
  return answer.body;
}

/** Asks for a token as JSON. */
export async function requestToken(keyhole: RunningKeyhole, wallet: Wallet): Promise<Record<string, unknown> & { token: string }> {
  const answer = await visit(keyhole.edgePort, domain, {
    path: "/v1/tunnel/token",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(wallet.prove(nextTimestamp())),
  });
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.body}`);
  return JSON.parse(answer.body) as Record<string, unknown> & { token: string };
}

/** Runs stock frpc on a file with this text. */
export function startFrpcOn(keyhole: RunningKeyhole, text: string): DesktopClient {
  clients += 1;
  const folder = join(keyhole.dir, `client-${clients}`);
  mkdirSync(folder);
  writeFileSync(join(folder, "frpc.toml"), text, { mode: 0o600 });
  const child: ChildProcess = spawn(keyhole.frpc, ["-c", "frpc.toml"], {
    cwd: folder,
    env: {},
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let from = 0;
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const client: DesktopClient = {
    pid: child.pid ?? 0,
    output: () => output,
    saw: async (needle, timeoutMs = 15_000) =>
      void (await waitForFact(`frpc prints "${needle}"`, () => (output.indexOf(needle, from) >= 0 ? true : undefined), {
        timeoutMs,
        describe: () => output.slice(-2000),
      })),
    mark: () => {
      from = output.length;
    },
    signal: (signal) => void child.kill(signal),
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      // A stopped process takes nothing but KILL until it goes on.
      if (signal !== "SIGKILL") child.kill("SIGCONT");
      await gone;
    },
    [Symbol.asyncDispose]: () => client.end("SIGKILL"),
  };
  return client;
}

/** The whole of it: token, file, frpc, and waits until the address serves. */
export async function connectClient(keyhole: RunningKeyhole, wallet: Wallet, localPort: number): Promise<DesktopClient> {
  const client = startFrpcOn(keyhole, await requestClientConfig(keyhole, wallet, localPort));
  await client.saw("start proxy success");
  return client;
}
