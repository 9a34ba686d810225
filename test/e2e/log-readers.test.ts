/**
 * Whoever reads the log has stopped reading, is gone, or has no room left: Keyhole serves as if nothing were, keeps a bounded
 * part of what it had to say, and says it to whoever reads again (what is dropped and counted: `log-destination.test.ts`).
 */
import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { connectClient } from "../support/desktop-client.ts";
import { readMemoryMb } from "../support/hostile-world.ts";
import { startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { hostOf, servedBy } from "../support/served-by.ts";
import { openTemporaryDirectory } from "../support/temporary-directory.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

/** Where the log goes, already open: its descriptor, and the end that reads it, where one does. */
type Reader = Disposable & { readonly standardError: number; readonly readEnd?: number };

const openReaders: Readonly<Record<string, (dir: string) => Reader>> = {
  "a file": (dir) => own(openSync(join(dir, "log"), "a")),
  "a pipe that nobody reads": (dir) => {
    const pipe = makePipe(dir);
    // Full from the begin on.
    const chunk = Buffer.alloc(4096, "\n");
    for (let isFull = false; !isFull; ) {
      try {
        writeSync(pipe.writeEnd, chunk);
      } catch {
        isFull = true;
      }
    }
    return own(pipe.blocking, pipe.readEnd, pipe.writeEnd);
  },
  "a pipe whose reader is gone": (dir) => {
    const pipe = makePipe(dir);
    closeSync(pipe.readEnd);
    return own(pipe.blocking, undefined, pipe.writeEnd);
  },
  "a full disk": () => own(openSync("/dev/full", "w")),
};

function makePipe(dir: string): { readonly readEnd: number; readonly writeEnd: number; readonly blocking: number } {
  const path = join(dir, "log");
  spawnSync("mkfifo", [path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  return { readEnd, writeEnd, blocking: openSync(path, constants.O_WRONLY) };
}

const own = (standardError: number, readEnd?: number, other?: number): Reader => ({
  standardError,
  ...(readEnd === undefined ? {} : { readEnd }),
  [Symbol.dispose]() {
    for (const descriptor of [standardError, readEnd, other]) if (descriptor !== undefined) closeSync(descriptor);
  },
});

/** What is in the pipe; nothing when it is empty. */
function drain(readEnd: number): string {
  const chunk = Buffer.alloc(65_536);
  let text = "";
  for (;;) {
    try {
      const length = readSync(readEnd, chunk);
      if (length === 0) return text;
      text += chunk.toString("utf8", 0, length);
    } catch {
      return text;
    }
  }
}

type Figures = { readonly readyMs: number; readonly loginMs: number; readonly p50: number; readonly p99: number; readonly grownMb: number };

/** Starts Keyhole on it, and has it serve twelve clients and a thousand visits. */
async function serveOn(reader: Reader, whenServed: () => Promise<void> = async () => {}): Promise<Figures> {
  const startedAt = performance.now();
  await using keyhole = await startKeyholeProcess({ standardError: reader.standardError });
  const readyMs = performance.now() - startedAt;
  await using app = await startLocalApp("app");
  await using clients = new AsyncDisposableStack();
  const wallets = Array.from({ length: 12 }, () => makeWallet());
  const loginsAt = performance.now();
  for (const wallet of wallets) clients.use(await connectClient(keyhole, wallet, app.port));
  const loginMs = (performance.now() - loginsAt) / wallets.length;
  for (const wallet of wallets) await servedBy(keyhole, wallet, "app");
  const pid = keyhole.ready.pid;
  const memory = readMemoryMb(pid);
  const times: number[] = [];
  for (let round = 0; round < 100; round += 1) {
    const answers = await Promise.all(wallets.slice(0, 10).map((wallet) => visit(keyhole.edgePort, hostOf(wallet), { timeoutMs: 5000 })));
    for (const { status, ms } of answers) {
      expect(status).toBe(200);
      times.push(ms);
    }
  }
  const grownMb = readMemoryMb(pid) - memory;
  await whenServed();
  times.sort((one, other) => one - other);
  return { readyMs, loginMs, p50: times[500] ?? 0, p99: times[990] ?? 0, grownMb };
}

let normal: Figures | undefined;

it.each(Object.entries(openReaders))("7: a log that goes to %s keeps nobody waiting, and no memory", async (what, open) => {
  using folder = openTemporaryDirectory();
  using reader = open(folder.path);
  const { readEnd } = reader;
  const figures = await serveOn(reader, async () => {
    if (readEnd === undefined) return;
    let heard = "";
    await waitForFact(
      "what it had to say from the begin on is heard as soon as somebody reads",
      () => {
        heard += drain(readEnd);
        return heard.includes('"event":"sessions.adopted"') && heard.includes('"event":"session.connected"') ? true : undefined;
      },
      { describe: () => heard.trim().slice(0, 500) },
    );
  });
  console.info(
    what,
    JSON.stringify(figures, (_key, value) => (typeof value === "number" ? Math.round(value * 10) / 10 : value)),
  );
  normal ??= figures;
  expect(figures.p99).toBeLessThan(Math.max(250, 10 * normal.p99));
  expect(figures.loginMs).toBeLessThan(Math.max(1000, 5 * normal.loginMs));
  expect(figures.grownMb).toBeLessThan(80);
});
