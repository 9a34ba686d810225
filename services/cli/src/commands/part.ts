/**
 * `keyhole edge|token|plugin|supervisor`: one part in a process of its own, until SIGINT or SIGTERM. A supervisor leaves
 * frps running when it ends: the next one takes it over. `keyhole supervisor --stop` ends frps, and the supervisor with it.
 */

import { Fault } from "@keyhole/core";
import { openStateLock } from "@keyhole/store";
import { endFrps } from "@keyhole/supervisor";
import { startPart } from "../compose-part.ts";
import { createSocketClient } from "../sockets/socket-client.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import { type PartName, socketPath } from "../sockets/socket-path.ts";
import { openStateDirectory } from "../state/state-directory.ts";
import { nameConfigFile, openProcess, type Process, type ProcessOptions } from "./process.ts";

/** What may be said on the command line. `stop` is the supervisor's alone. */
export type PartOptions = ProcessOptions & { readonly stop?: boolean };

/** Ending frps and its supervisor takes a TERM, a grace and a KILL at worst. */
const stopTimeoutMs = 15_000;

/** Why a supervisor stops that was told to end frps. */
const askedOnSocket = "asked on the socket";

/** Runs the part until a signal. Resolves when it has stopped. */
export async function runPart(part: PartName, options: PartOptions): Promise<void> {
  const opened = openProcess(options, "info");
  if (options.stop === true) return await stopFrps(opened);
  const { world, config, component, stop, stopped } = opened;
  await using stack = new AsyncDisposableStack();
  try {
    const context = { signal: stop.signal, askToStop: () => stop.abort(askedOnSocket) };
    const { summary } = stack.use(await startPart(part, config, world, component, context));
    process.stdout.write(`keyhole ${part} is up (pid ${world.pid}): ${summary}\n`);
  } catch (fault) {
    if (!stop.signal.aborted) throw nameConfigFile(fault, options);
  }
  const signal = await stopped;
  const ofFrps = part !== "supervisor" ? "" : signal === askedOnSocket ? "; frps has stopped" : "; frps goes on";
  component("cli").info({ event: "stop", signal }, `stopping${ofFrps}`);
}

/** Ends frps: through its supervisor if one runs, by its record otherwise. */
async function stopFrps({ world, config, component }: Process): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  await using supervisor = createSocketClient(socketPath(config.stateDir, "supervisor"));
  try {
    const answer = (await supervisor.call("POST", "/stop", {}, stopTimeoutMs)) as { pid: number | null };
    return say(
      answer.pid === null
        ? "The supervisor has stopped; frps was not running."
        : `frps (pid ${answer.pid}) and its supervisor have stopped.`,
    );
  } catch (fault) {
    if (!(fault instanceof SocketFault)) throw fault;
    if (fault.kind === "refused") {
      throw new Fault(
        "PART_UNREACHABLE",
        "The supervisor of this state directory is part of a keyhole up: stop that one, and frps ends with it.",
        {
          cause: fault,
        },
      );
    }
    if (fault.kind !== "away") {
      const remedy = fault.kind === "forbidden" ? "Run this as its user, or as one of its group." : "Look at its log, and restart it.";
      throw new Fault("PART_UNREACHABLE", `${fault.message}. ${remedy}`, { cause: fault });
    }
  }
  const state = openStateDirectory(config.stateDir, "shared");
  await using _lock = await openStateLock({ dir: state.folder("lock", "supervisor"), pid: world.pid });
  const end = await endFrps({ stateDir: state.path, log: component("supervisor") });
  say(
    end.kind === "none" ? "No frps of this state directory is running." : `frps (pid ${end.pid}) has stopped; no supervisor was running.`,
  );
}
