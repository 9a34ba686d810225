/** frps dies or freezes, clients freeze, many change hands at once: through parts as processes of their own. */
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectClient, type DesktopClient, requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { hostOf, servedBy, startVisitingWallet, waitForVisits } from "../support/served-by.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

let keyhole: KeyholeParts;
beforeAll(async () => {
  keyhole = await startKeyholeParts();
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

const onPort = (text: string, from: LocalApp, to: LocalApp): string => text.replace(`localPort = ${from.port}`, `localPort = ${to.port}`);

describe("frps", () => {
  it("2: killed while an older and a newer client of one key both wait: the newer serves in the end, and nothing flaps", async () => {
    await using older = await startLocalApp("older");
    await using newer = await startLocalApp("newer");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, older.port);
    await using first = startFrpcOn(keyhole, text);
    await first.saw("start proxy success");
    await using second = startFrpcOn(keyhole, onPort(text, older, newer));
    await second.saw("start proxy success");
    await first.saw("REPLACED_BY_NEWER_CLIENT");
    await servedBy(keyhole, wallet, "newer");
    process.kill(keyhole.frpsPid(), "SIGKILL");
    second.mark();
    first.mark();
    await second.saw("start proxy success", 40_000);
    await servedBy(keyhole, wallet, "newer", 20_000);
    const load = startVisitingWallet(keyhole, wallet);
    await first.saw("REPLACED_BY_NEWER_CLIENT", 40_000);
    await waitForVisits(load, 50);
    await load.stop();
    expect(new Set(load.visits.map((one) => (one instanceof Error ? one.message : one.body)))).toEqual(new Set(["newer"]));
  });

  it("7: frozen: it is found out, killed and started again, and every client is back without help", async () => {
    await using app = await startLocalApp("app");
    const wallets = [makeWallet(), makeWallet(), makeWallet()];
    const clients = await Promise.all(wallets.map((wallet) => connectClient(keyhole, wallet, app.port)));
    const frozen = keyhole.frpsPid();
    process.kill(frozen, "SIGSTOP");
    await waitForFact(
      "the status says that frps does not answer",
      () => {
        const problems = keyhole.readStatus().parts.find(({ part }) => part === "supervisor")?.status?.problems;
        return problems?.some((problem) => problem.includes("does not answer")) ? true : undefined;
      },
      { timeoutMs: 20_000, everyMs: 50 },
    );
    await waitForFact("another frps runs", () => (keyhole.frpsPid() !== frozen ? true : undefined), { timeoutMs: 40_000, everyMs: 50 });
    for (const wallet of wallets) await servedBy(keyhole, wallet, "app", 40_000);
    const facts = keyhole.readStatus().parts.find(({ part }) => part === "supervisor")?.status?.facts;
    expect(facts).toMatchObject({ frps: "ready", lastExit: expect.stringContaining("did not answer") });
    for (const client of clients) await client[Symbol.asyncDispose]();
  });
});

describe("a takeover", () => {
  it("2: of a frozen client with an upload under way takes less than a second", async () => {
    const isUploading = Promise.withResolvers<void>();
    await using older = await startLocalApp("older", (incoming) => {
      incoming.once("data", () => isUploading.resolve());
    });
    await using newer = await startLocalApp("newer");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, older.port);
    await using first = startFrpcOn(keyhole, text);
    await first.saw("start proxy success");
    const upload = request({ host: "127.0.0.1", port: keyhole.edgePort, method: "POST", path: "/", headers: { host: hostOf(wallet) } });
    const ended = new Promise<void>((resolve) => upload.once("close", () => resolve()));
    upload.on("error", () => {}).on("response", (response) => response.resume());
    const chunk = Buffer.alloc(64 * 1024);
    const pour = (): void => {
      while (!upload.destroyed && upload.write(chunk));
    };
    upload.on("drain", pour);
    pour();
    await isUploading.promise;
    first.signal("SIGSTOP");
    const startedAt = performance.now();
    await using second = startFrpcOn(keyhole, onPort(text, older, newer));
    await servedBy(keyhole, wallet, "newer", 5000);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(second.output()).not.toContain("HANDOVER_PENDING");
    await ended;
    first.signal("SIGCONT");
    first.mark();
    await first.saw("REPLACED_BY_NEWER_CLIENT", 30_000);
  });

  it("2: twenty at once all succeed at the first try", async () => {
    await using older = await startLocalApp("older");
    await using newer = await startLocalApp("newer");
    const wallets = Array.from({ length: 20 }, () => makeWallet());
    const texts = await Promise.all(wallets.map((wallet) => requestClientConfig(keyhole, wallet, older.port)));
    const start = async (): Promise<DesktopClient[]> => {
      const clients = texts.map((text) => startFrpcOn(keyhole, text));
      await Promise.all(clients.map((client) => client.saw("start proxy success", 20_000)));
      return clients;
    };
    const first = await start();
    await Promise.all(wallets.map((wallet) => servedBy(keyhole, wallet, "older")));
    const second = texts.map((text) => startFrpcOn(keyhole, onPort(text, older, newer)));
    await Promise.all(second.map((client) => client.saw("start proxy success", 20_000)));
    await Promise.all(wallets.map((wallet) => servedBy(keyhole, wallet, "newer")));
    expect(
      second.filter((client) => /HANDOVER_PENDING|REPLACED_BY|SESSION_/.test(client.output())).map((client) => client.output()),
    ).toEqual([]);
    for (const client of [...first, ...second]) await client[Symbol.asyncDispose]();
  });
});
