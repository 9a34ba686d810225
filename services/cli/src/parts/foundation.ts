/**
 * What every part of Keyhole stands on, in a process of its own or beside the others: the state directory, the lock of each
 * part that this process is, and the ports and passwords between the parts.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "@keyhole/core";
import { openStateLock } from "@keyhole/store";
import { finishRestore } from "../backup/restore-swap.ts";
import { derivePublicUrl } from "../config/public-url.ts";
import type { Config } from "../config/settings.ts";
import { startDescriptorWatch } from "../descriptor-watch.ts";
import { describeMissedListeners, type ListenerName, readInheritedListeners } from "../inherited-listeners.ts";
import { listenKeys, partListeners, requireFree, wantedPorts } from "../listeners.ts";
import type { Log } from "../log.ts";
import { type PartName, partNames } from "../sockets/socket-path.ts";
import { type InternalPorts, openPorts } from "../state/ports.ts";
import { openStateDirectory, type StateDirectory } from "../state/state-directory.ts";
import type { World } from "../world.ts";

/** An open state directory, and what is derived from it and the configuration. */
export type Foundation = AsyncDisposable & {
  readonly config: Config;
  readonly world: World;
  readonly component: (name: string) => Log;
  readonly state: StateDirectory;
  readonly internal: InternalPorts;
  portOf(key: string): number;
  /** Where a listener of this process listens; `fd` when the socket was handed over. */
  listenerOf(name: ListenerName): { readonly host: string; readonly port: number; readonly fd?: number };
  /** The setting that this process's metrics port stands under in `ports.json`. */
  readonly metricsKey: string;
  /** What this process is: a part, or `up` for all of them. */
  readonly processName: PartName | "up";
  /** The public address of a label, with `{label}` in it. */
  readonly publicUrl: string;
  readonly publicScheme: "http" | "https";
};

/** The response header that only answers of a proxied app carry between frps and the edge. */
export const marker = "x-keyhole-app";
/** Who frps says it is when it calls the hook, and who we are on its dashboard. */
export const hookUser = "frps";
export const dashboardUser = "keyhole";

/** A command that records an order in the plugin's place has its lock for a moment: that must not keep the plugin from starting. */
const recordingMs = 1000;

/** Opens the state for these parts; all of them means that nobody else runs here. Throws `STATE_LOCKED`, `STATE_UNWRITABLE` or `PORT_BUSY`. */
export async function openFoundation(
  config: Config,
  world: World,
  component: (name: string) => Log,
  parts: readonly PartName[],
): Promise<Foundation> {
  const isAlone = parts.length === partNames.length;
  await using stack = new AsyncDisposableStack();
  const state = openStateDirectory(config.stateDir, isAlone ? "private" : "shared");
  for (const part of parts) {
    const patienceMs = part === "plugin" ? recordingMs : 0;
    stack.use(await openStateLock({ dir: state.folder("lock", part), pid: world.pid, patienceMs }));
  }
  if (parts.includes("token") || parts.includes("plugin")) {
    const restored = await finishRestore(state, world.pid);
    if (restored !== undefined)
      component("store").warn({ event: "restore.finished", takenAt: restored.takenAt }, "an interrupted restore was finished");
  }
  state.folder("run");
  stack.use(startDescriptorWatch({ log: component("process") }));
  // Left by a process that was killed: until we serve, nobody may believe it.
  if (isAlone) rmSync(join(state.path, "ready.json"), { force: true });
  const inherited = readInheritedListeners(world.env, world.pid);
  const internal = await openPorts({
    file: join(state.path, "ports.json"),
    fileMode: state.fileMode,
    wanted: wantedPorts(config, isAlone),
    recordFile: join(state.path, "frps.json"),
    isAlone,
    randomBytes: world.randomBytes,
  });
  const portOf = (key: string): number => internal.ports[key] ?? 0;
  const metricsKey = isAlone ? "metrics.listen" : `metrics.${parts[0]}`;
  const listeners = parts.flatMap((part) => partListeners[part]);
  const stranger = [...inherited.keys()].find((name) => !listeners.includes(name));
  if (stranger !== undefined) {
    throw new Fault("CONFIG_INVALID", `A listening socket named ${stranger} was handed over, and this process does not listen on that.`);
  }
  const admin = parts.includes("plugin") ? config["admin.listen"] : undefined;
  const metricsOffset = isAlone ? 0 : partNames.indexOf(parts[0] ?? "edge");
  // Asked for all before anything is started: who cannot have them all starts nothing.
  await requireFree(
    [
      ...listeners
        .filter((name) => !inherited.has(name))
        .map((name) => ({ setting: listenKeys[name], address: { host: config[listenKeys[name]].host, port: portOf(listenKeys[name]) } })),
      ...(admin === undefined ? [] : [{ setting: "admin.listen", address: { host: admin.host, port: portOf("admin.listen") } }]),
      {
        setting: metricsOffset === 0 ? "metrics.listen" : `metrics.listen (its port + ${metricsOffset})`,
        address: { host: config["metrics.listen"].host, port: portOf(metricsKey) },
      },
    ],
    describeMissedListeners(world.env, world.pid),
  );
  const publicUrl = derivePublicUrl(config, portOf("edge.listen"));
  const running = stack.move();
  return {
    config,
    world,
    component,
    state,
    internal,
    portOf,
    listenerOf(name) {
      const fd = inherited.get(name);
      return { host: config[listenKeys[name]].host, port: portOf(listenKeys[name]), ...(fd === undefined ? {} : { fd }) };
    },
    metricsKey,
    processName: isAlone ? "up" : (parts[0] ?? "up"),
    publicUrl,
    publicScheme: publicUrl.startsWith("https:") ? "https" : "http",
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
