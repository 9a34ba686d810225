/**
 * Restarts that nobody notices: the listening sockets are held by somebody else, as systemd does, and an edge comes after
 * the other on them. Connections wait in the queue meanwhile; none is reset.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, type ClientRequestArgs, request } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { first } from "./edge-certificates.ts";
import { asApp, domain, eventually, type Harness, hostOf, live, openHarness } from "./edge-harness.ts";
import type { HeldEdge } from "./edge-on-held-sockets.ts";

const program = fileURLToPath(new URL("./edge-on-held-sockets.ts", import.meta.url));
const restarts = 3;

let harness: Harness;
let holder: ChildProcess | undefined;
beforeEach(async () => {
  harness = await openHarness();
});
afterEach(async () => {
  if (holder !== undefined && holder.exitCode === null) {
    const closed = once(holder, "close");
    // Its end reaches the edge too, which has the same input.
    holder.stdin?.end();
    await closed;
  }
  holder = undefined;
  await harness[Symbol.asyncDispose]();
});

type Held = { readonly visitorsPort: number; readonly controlPort: number; pids(): number[] };

async function holdSockets(isSecure: boolean): Promise<Held> {
  const { certFile, keyFile } = harness.options.control;
  const { publicScheme, mapsDir, marker, appTimeoutSeconds, frps, tokenService, trustedProxies, limits } = harness.options;
  const serving = { domain, publicScheme, mapsDir, marker, appTimeoutSeconds, frps, tokenService, trustedProxies, limits };
  const edge: HeldEdge = { ...serving, certFile, keyFile, isSecure };
  const child = spawn(process.execPath, [program, "hold", JSON.stringify(edge)], { stdio: ["pipe", "pipe", "inherit"] });
  holder = child;
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  const pids = (): number[] => [...output.matchAll(/^serving (\d+) /gm)].map(([, pid]) => Number(pid));
  await eventually("the first edge serves", () => pids().length === 1, 20_000);
  const [, visitorsPort, controlPort] = /^held (\d+) (\d+)$/m.exec(output) ?? [];
  const scheme = isSecure ? "https" : "http";
  expect(output).toContain(`serving ${pids()[0]} ${visitorsPort} ${controlPort} ${scheme}://127.0.0.1:${visitorsPort}\n`);
  return { visitorsPort: Number(visitorsPort), controlPort: Number(controlPort), pids };
}

describe.each([
  ["plain", false],
  ["TLS", true],
])("an edge on sockets that another holds: %s", (_name, isSecure) => {
  it(`7: ${restarts} restarts under visitors fail no request, on new connections and on kept ones`, { timeout: 60_000 }, async () => {
    harness.frps.handle = (req, res) => {
      req.resume();
      // Some are under way whenever the edge is told to stop.
      req.on("end", () => setTimeout(() => asApp(res).end("served"), req.url === "/slow" ? 50 : 0));
    };
    const held = await holdSockets(isSecure);
    const agents = [
      false as const,
      ...Array.from({ length: 4 }, () => new (isSecure ? SecureAgent : Agent)({ keepAlive: true, maxSockets: 1 })),
    ];
    const failures: string[] = [];
    let served = 0;
    let isOver = false;
    const visit = (options: ClientRequestArgs): Promise<void> =>
      new Promise((resolve) => {
        const failed = (error: Error): void => {
          failures.push(String(error));
          resolve();
        };
        const sent = (isSecure ? secureRequest : request)(
          { ...options, ...(isSecure ? { ca: first.cert, servername: "localhost" } : {}) },
          (answer) => {
            answer.on("error", failed).resume();
            answer.on("end", () => {
              if (answer.statusCode === 200) served += 1;
              else failures.push(String(answer.statusCode));
              resolve();
            });
          },
        );
        sent.on("error", failed).end(options.method === "POST" ? "body" : undefined);
      });
    const untilOver = async (agent: Agent | false, method: string, path: string): Promise<void> => {
      const target = { host: "127.0.0.1", port: held.visitorsPort, path, method, agent, headers: { Host: hostOf(live) } };
      while (!isOver) await visit(target);
    };
    const visitors = agents.flatMap((agent) => [untilOver(agent, "GET", "/"), untilOver(agent, "POST", "/slow")]);
    const tunnels: Promise<unknown>[] = [];
    for (let round = 1; round <= restarts; round += 1) {
      const wanted = served + 100;
      await eventually("a hundred more are served", () => served > wanted, 20_000);
      const pid = held.pids().at(-1);
      if (pid === undefined) throw new Error("no edge serves");
      process.kill(pid, "SIGTERM");
      await eventually("it is gone", () => !isThere(pid), 20_000);
      // A client that dials while no edge is there waits for the next one.
      const tunnel = connectTls({ host: "127.0.0.1", port: held.controlPort, ca: first.cert, servername: "localhost" });
      tunnels.push(once(tunnel, "secureConnect").then(() => tunnel.destroy()));
      await eventually("the next edge serves", () => held.pids().length > round, 20_000);
    }
    const wanted = served + 100;
    await eventually("a hundred more are served", () => served > wanted, 20_000);
    isOver = true;
    await Promise.all([...visitors, ...tunnels]);
    for (const agent of agents) if (agent !== false) agent.destroy();
    expect(failures).toEqual([]);
    expect(new Set(held.pids()).size).toBe(restarts + 1);
  });
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
