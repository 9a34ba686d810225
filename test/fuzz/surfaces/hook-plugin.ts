/** A whole plugin for the fuzzer: its real listener and session store, tokens that nobody recorded, and limits that never bite. */
import { randomBytes } from "node:crypto";
import { Agent } from "node:http";
import { join } from "node:path";
import type { Door, Label, TokenReader } from "@keyhole/core";
import { deriveLoginKey } from "@keyhole/frp";
import { type Plugin, startPlugin } from "@keyhole/plugin";
import { openSessionStore } from "@keyhole/store";
import { openTemporaryDirectory } from "../../support/temporary-directory.ts";
import { waitForFact } from "../../support/wait-for-fact.ts";
import { askHttp } from "../http-client.ts";
import type { FuzzWorld } from "../world.ts";

const hook = { user: "frps", password: "hook-password-of-the-fuzzer" };

/** What frps sends to its hook. */
export const hookAuthorization = `Basic ${Buffer.from(`${hook.user}:${hook.password}`).toString("base64")}`;

/** A running plugin. */
export type FuzzPlugin = AsyncDisposable & { readonly plugin: Plugin };

const manyTimes = 1_000_000_000;

/** One wallet in eight has revoked what was issued more than 20 s ago. */
export function revokedUntil(world: FuzzWorld, label: string): Date | undefined {
  const index = world.wallets.findIndex((wallet) => wallet.label === label);
  return index % 8 === 0 ? new Date((world.nowSeconds - 20) * 1000) : undefined;
}

/** Starts it. */
export async function startFuzzPlugin(world: FuzzWorld): Promise<FuzzPlugin> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(openTemporaryDirectory());
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const sessions = stack.use(await openSessionStore({ path: join(path, "sessions.db"), log: silent }));
  const agent = stack.adopt(new Agent({ keepAlive: true }), (used) => used.destroy());
  let isPushed = false;
  const plugin: Plugin = stack.use(
    await startPlugin({
      domain: world.domain,
      tunnelUrl: (label) => `http://${label}.${world.domain}`,
      scheme: "http",
      marker: "x-keyhole-app",
      hook: { host: "127.0.0.1", port: 0, ...hook },
      tokens: createTokens(world),
      // Half of the wallets have no past: or in the end nothing but the newest would be let in.
      sessions: {
        ...sessions,
        newestIssuedAt: async (label, kind) =>
          label.endsWith("0") || label.endsWith("a") ? await sessions.newestIssuedAt(label, kind) : undefined,
      },
      door: createDoor(() => {
        isPushed = true;
      }),
      tokenKeys: () => world.ring,
      ticketKeys: () => world.ring,
      verifyKeys: () => world.signingKeys,
      stellarAddress: () => world.stellarAddress,
      vana: { audience: world.audience, requireRegistration: false, gatewayUrl: undefined },
      limits: {
        loginsPerIdentityPerMinute: manyTimes,
        proxiesPerIdentityPerMinute: manyTimes,
        loginsInFlight: manyTimes,
        failedProofsPerMinute: manyTimes,
      },
      ttlSeconds: world.ttlSeconds,
      sendKick: async ({ runId, metas }) => {
        const timestamp = world.nowSeconds;
        const content = {
          version: "0.71.0",
          privilege_key: deriveLoginKey("", timestamp),
          timestamp,
          metas,
          run_id: runId,
          client_address: "127.0.0.1:1",
        };
        const body = Buffer.from(JSON.stringify({ version: "0.1.0", op: "Login", content }));
        await askHttp(
          plugin.hookPort,
          { method: "POST", path: "/hook?op=Login&version=0.1.0", headers: { authorization: hookAuthorization }, body },
          agent,
        );
      },
      readFrps: async () => ({ clients: [], proxies: [] }),
      reconcileMs: 3_600_000,
      monotonicMs: () => performance.now(),
      now: () => world.now,
      randomBytes,
      log: silent,
    }),
  );
  await waitForFact("the first look at frps, of which the edge is told", () => isPushed || undefined);
  const opened = stack.move();
  return { plugin, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function createTokens(world: FuzzWorld): TokenReader {
  const notBefore = async (label: Label) => revokedUntil(world, label);
  return {
    findToken: async () => undefined,
    newestToken: async () => undefined,
    notBefore,
    readCredential: async (label) => ({ recorded: undefined, newest: undefined, notBefore: await notBefore(label) }),
    revocationsAfter: async () => [],
    newestRevocation: async () => 0,
  };
}

function createDoor(onPush: () => void): Door {
  const nothing = async (): Promise<void> => {};
  return {
    put: nothing,
    delete: nothing,
    replaceAll: async () => onPush(),
    handOver: nothing,
    block: nothing,
    unblock: nothing,
    blockNetwork: nothing,
    unblockNetwork: nothing,
    connectionOf: async (clientAddress) => ({ id: clientAddress, source: clientAddress }),
    claim: nothing,
    release: nothing,
    keepOnly: nothing,
    claimedBy: async () => undefined,
    readEvidence: async () => ({ cursor: "", evidence: [], isMore: false }),
    cut: async () => true,
  };
}
