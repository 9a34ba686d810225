/**
 * What systemd does with a socket unit, as a process: holds two listening sockets and never accepts on them, runs an edge on
 * them, and runs another one whenever that ends. It holds them by being busy: `spawnSync` gives the event loop no turn in
 * which it could accept. The edge itself is the same program with other arguments. Both end when their input does.
 */
import { spawnSync } from "node:child_process";
import { createServer, type Server } from "node:net";
import { fileURLToPath } from "node:url";
import { type NodeEdgeOptions, startNodeEdge } from "@keyhole/edge";
import { createRecordingLog } from "../support/recording-log.ts";

/** What of an edge's options fits into an argument. */
export type HeldEdge = Pick<
  NodeEdgeOptions,
  "domain" | "publicScheme" | "mapsDir" | "marker" | "appTimeoutSeconds" | "frps" | "tokenService" | "trustedProxies" | "limits"
> & {
  readonly certFile: string;
  readonly keyFile: string;
  readonly isSecure: boolean;
};

const endOfInput = 3;

async function hold(settings: string): Promise<void> {
  const held = await Promise.all([listening(), listening()]);
  const ports = held.map((server) => (server.address() as { port: number }).port);
  process.stdout.write(`held ${ports.join(" ")}\n`);
  const descriptors = held.map(descriptorOf);
  for (;;) {
    const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "serve", settings], {
      stdio: ["inherit", "inherit", "inherit", ...descriptors],
    });
    if (status !== 0) process.exit(status === endOfInput ? 0 : 1);
  }
}

function listening(): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => resolve(server)));
}

/** Node has no public name for it. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

async function serve(settings: string): Promise<void> {
  const { certFile, keyFile, isSecure, ...options } = JSON.parse(settings) as HeldEdge;
  let requests = 0;
  const edge = await startNodeEdge({
    ...options,
    visitors: { fd: 3, ...(isSecure ? { certFile, keyFile } : {}) },
    control: { fd: 4, certFile, keyFile },
    now: () => new Date(),
    monotonicMs: () => performance.now(),
    newRequestId: () => `${process.pid}-${requests++}`,
    log: createRecordingLog(),
  });
  process.stdin.resume().on("end", () => process.exit(endOfInput));
  process.on("SIGTERM", () => void edge.stop().then(() => process.exit(0)));
  process.stdout.write(`serving ${process.pid} ${edge.visitorsPort} ${edge.controlPort} ${edge.visitorsUrl}\n`);
}

const [role, settings = ""] = process.argv.slice(2);
if (role === "hold") await hold(settings);
else await serve(settings);
