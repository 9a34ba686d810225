/** The baseline: a stock frps as anybody runs it, with no hook, no edge and no TLS of ours, and the file of its clients. */
import { mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import type { Stage } from "./stage.ts";

/** A bare frps. */
export type BareFrps = {
  readonly pid: number;
  readonly bindPort: number;
  readonly vhostPort: number;
  /** Kills it and starts it again at once, as the simplest of supervisors would. Resolves to the moment of the kill. */
  killAndRestart(): Promise<number>;
  end(): Promise<void>;
};

const startMs = 10_000;

/** Starts frps on two free ports and resolves when both answer. */
export async function startBareFrps(stage: Stage, frps: string): Promise<BareFrps> {
  const [bindPort, vhostPort] = await findFreePorts();
  const dir = join(stage.dir, `bare-frps-${bindPort}`);
  mkdirSync(dir);
  const file = join(dir, "frps.toml");
  writeFileSync(file, `bindAddr = "127.0.0.1"\nbindPort = ${bindPort}\nproxyBindAddr = "127.0.0.1"\nvhostHTTPPort = ${vhostPort}\n`);
  let staged = stage.start(frps, ["-c", file], dir);
  const deadline = performance.now() + startMs;
  while (!(await answers(bindPort)) || !(await answers(vhostPort))) {
    if (performance.now() > deadline) throw new Error(`the bare frps does not answer: ${staged.output()}`);
    await stage.pause(10);
  }
  return {
    get pid() {
      return staged.pid;
    },
    bindPort,
    vhostPort,
    async killAndRestart() {
      const killedAt = performance.now();
      await staged.end("SIGKILL");
      staged = stage.start(frps, ["-c", file], dir);
      return killedAt;
    },
    end: () => staged.end("SIGTERM"),
  };
}

/** The host of a bare tunnel. */
export const bareHost = (name: string): string => `${name}.bare.localhost`;

/** The frpc.toml of a bare tunnel: as in frp's own documentation. */
export function renderBareClient(server: { readonly bindPort: number }, name: string, localPort: number): string {
  return [
    'serverAddr = "127.0.0.1"',
    `serverPort = ${server.bindPort}`,
    "[[proxies]]",
    `name = "${name}"`,
    'type = "http"',
    `localPort = ${localPort}`,
    `customDomains = ["${bareHost(name)}"]`,
    "",
  ].join("\n");
}

async function findFreePorts(): Promise<[number, number]> {
  const servers = await Promise.all(
    [0, 1].map(
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const [first = 0, second = 0] = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [first, second];
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
