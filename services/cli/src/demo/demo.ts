/**
 * The main job, done once as anybody would: a wallet signs, the public API gives a token as a frpc.toml, a stock frpc runs
 * in front of a local page, and the address is opened from outside. No shortcut inside: only what a stranger has.
 */
import { join } from "node:path";
import { startFrpc } from "@keyhole/agent";
import { Fault, printTunnelMessage } from "@keyhole/core";
import type { Keyhole } from "../compose.ts";
import type { Config } from "../config/settings.ts";
import type { Log } from "../log.ts";
import { dialAddress, requestPublic } from "../own-client/public-request.ts";
import { openOwnWallet } from "../own-client/wallet.ts";
import { writePrivateFile } from "../state/private-file.ts";
import { makePrivateDirectory } from "../state/state-directory.ts";
import type { World } from "../world.ts";
import { demoGreeting, startDemoApp } from "./app.ts";

/** A demo that runs: the address that works, and how long it took from the signature to the first answer. */
export type Demo = AsyncDisposable & {
  readonly address: string;
  readonly url: string;
  readonly signToAnswerMs: number;
  readonly configPath: string;
};

/** Starts the demo and resolves when its address has answered. Throws `Fault("TUNNEL_NOT_UP")` with the reason. */
export async function startDemo(
  keyhole: Keyhole,
  config: Config,
  world: World,
  component: (name: string) => Log,
  signal: AbortSignal,
): Promise<Demo> {
  const log = component("demo");
  const dir = join(config.stateDir, "demo");
  makePrivateDirectory(dir);
  await using stack = new AsyncDisposableStack();
  const wallet = openOwnWallet(dir, world.randomBytes);
  const app = stack.use(await startDemoApp(wallet.address));
  const edge = {
    host: dialAddress(config["edge.listen"].host),
    port: keyhole.edgePort,
    isHttps: config["edge.certFile"] !== undefined,
  };

  /** Asks for a token; the answer is a whole frpc.toml. */
  const requestToken = async (): Promise<string> => {
    const order = { walletAddress: wallet.address, timestamp: Math.floor(world.now().getTime() / 1000) };
    const answer = await requestPublic({
      edge,
      host: config.domain,
      path: `/v1/tunnel/token?port=${app.port}`,
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/toml" },
      body: JSON.stringify({ ...order, signature: wallet.sign(printTunnelMessage(order, config["token.productName"])) }),
      timeoutMs: 5000,
    });
    if (answer.status !== 200)
      throw new Fault("TUNNEL_NOT_UP", `The token service refused the demo's wallet: ${answer.status} ${answer.body.slice(0, 500)}`);
    return answer.body;
  };

  const startedAt = performance.now();
  const configPath = join(dir, "frpc.toml");
  // A start within the same second as the last one must sign another second: a proof is spent once.
  writePrivateFile(configPath, await retry(requestToken));
  const frpc = stack.use(
    await startFrpc({
      frpc: keyhole.binaries.frpc,
      configPath,
      recordPath: join(dir, "frpc.json"),
      now: world.now,
      log: component("frpc"),
    }),
  );
  await untilAborted(frpc.whenConnected(), signal);
  const url = keyhole.urls.edge.replace("{label}", wallet.address.toLowerCase());
  const page = await requestPublic({ edge, host: new URL(url).host, path: "/", timeoutMs: 10_000 });
  if (page.status !== 200 || !page.body.includes(demoGreeting))
    throw new Fault("TUNNEL_NOT_UP", `${url} answered ${page.status} instead of the demo's page: ${page.body.slice(0, 300)}`);
  const signToAnswerMs = performance.now() - startedAt;

  // A newer token keeps a running frpc connected beyond the life of its first one (DESIGN.md §5, row 5).
  const renewal = setInterval(
    () =>
      void requestToken().then(
        (text) => writePrivateFile(configPath, text),
        (cause: unknown) => log.warn({ cause: String(cause) }, "the demo's token could not be renewed"),
      ),
    (config["token.ttlSeconds"] * 1000) / 2,
  );
  stack.defer(() => clearInterval(renewal));
  const running = stack.move();
  return { address: wallet.address, url, signToAnswerMs, configPath, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => reject(new Fault("TUNNEL_NOT_UP", "Stopped before the demo's tunnel was up."));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject);
  });
}

async function retry(requestToken: () => Promise<string>): Promise<string> {
  try {
    return await requestToken();
  } catch (cause) {
    if (!(cause instanceof Fault) || !cause.message.includes("PROOF_ALREADY_USED")) throw cause;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    return await requestToken();
  }
}
