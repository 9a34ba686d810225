/**
 * The canary's own tunnel, got and kept as any stranger gets one: a wallet signs, the public API gives a token through the
 * edge, stock frpc logs in with it. It comes from an address of its own, so that nobody else's limits count it.
 */
import { join } from "node:path";
import { type Frpc, type FrpcEvent, startFrpc } from "@keyhole/agent";
import { printTunnelMessage } from "@keyhole/core";
import { type FrpBinary, renderFrpcConfig } from "@keyhole/frp";
import { z } from "zod";
import type { Log } from "../log.ts";
import { type EdgeAddress, requestPublic } from "../own-client/public-request.ts";
import { type OwnWallet, openOwnWallet } from "../own-client/wallet.ts";
import { writePrivateFile } from "../state/private-file.ts";
import { makePrivateDirectory } from "../state/state-directory.ts";

/** Where the canary goes in, and what it is made of. */
export type CanaryTunnelOptions = {
  readonly dir: string;
  readonly frpc: FrpBinary;
  readonly edge: EdgeAddress;
  /** Where frpc dials: the edge's control port on this machine. */
  readonly control: { readonly host: string; readonly port: number; readonly localAddress?: string };
  readonly domain: string;
  readonly productName: string;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Aborted when the canary is to stop: whatever waits then throws at once. */
  readonly signal: AbortSignal;
  readonly log: Log;
};

/** The tunnel, opened step by step. */
export type CanaryTunnel = AsyncDisposable & {
  /** The host that visitors ask for. */
  readonly host: string;
  /** True when there is no token, or its half of life is over. */
  isTokenDue(): boolean;
  /** Asks for a token and writes frpc's file. Throws with the reason. A running frpc goes on with the token it has. */
  buyToken(port: number): Promise<void>;
  /** Starts frpc when none runs, and resolves when the tunnel is up. Throws with the reason when it is not after so many ms. */
  connect(withinMs: number): Promise<void>;
  /** The last thing that frpc heard was a no: to its credential, or to its tunnel. */
  isRefused(): boolean;
  /** Ends frpc and forgets the token: the next ones are new. */
  giveUp(): Promise<void>;
};

const grantForm = z.object({
  token: z.string(),
  subdomain: z.string(),
  proxyName: z.string(),
  renewAfter: z.iso.datetime(),
  transports: z.array(z.object({ serverName: z.string(), ca: z.string() })).min(1),
});

const requestTimeoutMs = 3000;
const fileName = "frpc.toml";

/** Opens it: makes the folder and the wallet when they are not there. Nothing is started. */
export function openCanaryTunnel(options: CanaryTunnelOptions): CanaryTunnel {
  const { dir, edge, control, domain, now, signal, log } = options;
  makePrivateDirectory(dir);
  const wallet: OwnWallet = openOwnWallet(dir, options.randomBytes);
  let renewAfter: Date | undefined;
  let frpc: Frpc | undefined;
  let trouble: string | undefined;
  let isRefused = false;

  async function giveUp(): Promise<void> {
    renewAfter = undefined;
    isRefused = false;
    const running = frpc;
    frpc = undefined;
    await running?.stop();
  }

  return {
    host: `${wallet.address.toLowerCase()}.${domain}`,
    isTokenDue: () => renewAfter === undefined || now() >= renewAfter,

    async buyToken(port) {
      const order = { walletAddress: wallet.address, timestamp: Math.floor(now().getTime() / 1000) };
      const answer = await requestPublic({
        edge,
        host: domain,
        path: "/v1/tunnel/token",
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...order, signature: wallet.sign(printTunnelMessage(order, options.productName)) }),
        timeoutMs: requestTimeoutMs,
        signal,
      });
      // Never the body of a good answer: it is a token.
      if (answer.status !== 200) throw new Error(`the token service answered ${answer.status} ${answer.body.slice(0, 300)}`);
      const grant = readGrant(answer.body);
      const [transport] = grant.transports;
      const text = renderFrpcConfig({
        serverAddr: control.host,
        serverPort: control.port,
        ...(control.localAddress === undefined ? {} : { localAddress: control.localAddress }),
        serverName: transport?.serverName ?? "",
        token: grant.token,
        label: grant.subdomain,
        proxyName: grant.proxyName,
        localPort: port,
        trustedCa: { kind: "inside", pem: transport?.ca ?? "", fileName },
        comments: ["Keyhole's own tunnel, by which it knows that tunnels work."],
      });
      writePrivateFile(join(dir, fileName), text);
      renewAfter = new Date(grant.renewAfter);
    },

    async connect(withinMs) {
      frpc ??= await startFrpc({
        frpc: options.frpc,
        configPath: join(dir, fileName),
        recordPath: join(dir, "frpc.json"),
        now,
        // What a frpc says is of interest only to whoever looks for a failure of it.
        log: { ...log, info: log.debug, warn: log.debug },
        onEvent(event: FrpcEvent) {
          if (event.kind === "refused" || event.kind === "disconnected") trouble = event.reason;
          else if (event.kind === "proxy-started") trouble = undefined;
          else return;
          isRefused = event.kind === "refused";
        },
      });
      const late = Promise.withResolvers<never>();
      const give = (): void => late.reject(new Error(trouble ?? "its tunnel is not up in time"));
      const timer = setTimeout(give, withinMs);
      signal.addEventListener("abort", give);
      if (signal.aborted) give();
      try {
        await Promise.race([frpc.whenConnected(), late.promise]);
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", give);
      }
    },

    isRefused: () => isRefused,
    giveUp,
    [Symbol.asyncDispose]: giveUp,
  };
}

/** Throws without a word of what it was given: there is a token in it. */
function readGrant(body: string): z.output<typeof grantForm> {
  try {
    return grantForm.parse(JSON.parse(body));
  } catch {
    throw new Error("the token service's answer does not have its form");
  }
}
