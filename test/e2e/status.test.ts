/** What the status of a tunnel says while everything that carries it is killed, frozen or gone: never a lie, and soon the truth. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import type { Label } from "@keyhole/core";
import { openSessionReader } from "@keyhole/store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectClient } from "../support/desktop-client.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { startLocalApp } from "../support/local-app.ts";
import { hostOf, servedBy } from "../support/served-by.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet, type Wallet } from "../support/wallet.ts";

let keyhole: KeyholeParts;
beforeAll(async () => {
  keyhole = await startKeyholeParts();
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

type Status = { readonly status: string; readonly routable: boolean; readonly reason?: string; readonly stale: boolean };

/** Asks the token service itself: the edge may be what is down. */
async function read(wallet: Wallet): Promise<Status> {
  const { ports } = JSON.parse(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")) as { ports: Record<string, number> };
  const answer = await visit(ports["token.listen"] ?? 0, "127.0.0.1", { path: `/v1/tunnel/status/${wallet.address}` });
  return JSON.parse(answer.body) as Status;
}

/** Resolves when the status says this. */
async function says(wallet: Wallet, wanted: Partial<Status>, timeoutMs: number): Promise<void> {
  let last: Status | undefined;
  await waitForFact(
    `the status is ${JSON.stringify(wanted)}`,
    async () => {
      last = await read(wallet);
      return Object.entries(wanted).every(([name, value]) => last?.[name as keyof Status] === value) ? true : undefined;
    },
    { timeoutMs, everyMs: 50, describe: () => JSON.stringify(last) },
  );
}

const routable = { status: "connected", routable: true, stale: false } as const;

describe("the status of a tunnel", () => {
  it("of a client that is killed says so within two seconds, and that nobody ever came before it did", async () => {
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    expect(await read(wallet)).toMatchObject({ status: "disconnected", reason: "NEVER_SEEN", routable: false, stale: false });
    await using client = await connectClient(keyhole, wallet, app.port);
    await says(wallet, routable, 2000);
    await client.end("SIGKILL");
    await says(wallet, { status: "disconnected", reason: "CLOSED", stale: false }, 2000);
  });

  it("of a client that falls silent with its connection kept says so within fifteen seconds", async () => {
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    await using client = await connectClient(keyhole, wallet, app.port);
    await says(wallet, routable, 2000);
    client.signal("SIGSTOP");
    await says(wallet, { routable: false, stale: false }, 15_000);
  });

  it("of a tunnel whose app is down says so when a visitor has met it, and that it is back when one was answered", async () => {
    const app = await startLocalApp("app");
    const wallet = makeWallet();
    await using _client = await connectClient(keyhole, wallet, app.port);
    await servedBy(keyhole, wallet, "app");
    await says(wallet, routable, 2000);
    await app[Symbol.asyncDispose]();
    expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(502);
    await says(wallet, { status: "connected", routable: false, reason: "APP_UNREACHABLE", stale: false }, 2000);
    const again = createServer((_request, response) => response.end("app"));
    await new Promise<void>((resolve) => again.listen(app.port, "127.0.0.1", resolve));
    try {
      await servedBy(keyhole, wallet, "app");
      await says(wallet, routable, 2000);
    } finally {
      again.closeAllConnections();
      again.close();
    }
  });

  it("7: is what was last known, and stale, while the plugin is away, and the truth when it is back", async () => {
    await using app = await startLocalApp("app");
    const [wallet, gone] = [makeWallet(), makeWallet()];
    await using _client = await connectClient(keyhole, wallet, app.port);
    await using leaver = await connectClient(keyhole, gone, app.port);
    await Promise.all([says(wallet, routable, 2000), says(gone, routable, 2000)]);
    // Rows are gathered for 50 ms, and a kill takes those with it.
    await using records = await openSessionReader({ path: join(keyhole.stateDir, "sessions.db") });
    for (const { label } of [wallet, gone]) await waitForFact("its row is written", () => records.lastSeen(label as Label));
    await keyhole.end("plugin", "SIGKILL");
    await says(wallet, { status: "connected", routable: false, reason: "UNKNOWN", stale: true }, 1000);
    await leaver.end("SIGKILL");
    await keyhole.start("plugin");
    await says(wallet, routable, 5000);
    await says(gone, { status: "disconnected", reason: "LOST", stale: false }, 2000);
  });

  it("7: says that nobody is connected while the edge is away, and who is when it is back", async () => {
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    await using _client = await connectClient(keyhole, wallet, app.port);
    await says(wallet, routable, 2000);
    await keyhole.end("edge", "SIGKILL");
    await says(wallet, { status: "disconnected", routable: false, stale: false }, 2000);
    await keyhole.start("edge");
    await says(wallet, routable, 10_000);
  });

  it("7: says within two looks that frps is gone, for it says nothing when it dies, and who is back with the next one", async () => {
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    await using _client = await connectClient(keyhole, wallet, app.port);
    await says(wallet, routable, 2000);
    process.kill(keyhole.pidOf("supervisor"), "SIGSTOP");
    process.kill(keyhole.frpsPid(), "SIGKILL");
    // A look every two seconds; the cached answer is half a second old at most.
    await says(wallet, { status: "disconnected", reason: "SERVER_AWAY", stale: false }, 3000);
    process.kill(keyhole.pidOf("supervisor"), "SIGCONT");
    await says(wallet, routable, 20_000);
  });
});
