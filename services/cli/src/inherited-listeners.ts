/**
 * Listening sockets that somebody else holds and hands over (sd_listen_fds(3): `LISTEN_PID`, `LISTEN_FDS`,
 * `LISTEN_FDNAMES`), so that a part can be restarted while nobody is refused: connections wait in the socket's queue.
 */
import { Fault } from "@keyhole/core";

/** The listeners that can be inherited, by the name that `FileDescriptorName=` of a systemd socket unit gives them. */
const listenerNames = ["visitors", "control", "token", "hook"] as const;

/** One of them. */
export type ListenerName = (typeof listenerNames)[number];

const firstDescriptor = 3;

/** Reads what this process was given: descriptors by name. Throws `Fault("CONFIG_INVALID")` for a name that nobody here listens on. */
export function readInheritedListeners(env: Readonly<Record<string, string | undefined>>, pid: number): ReadonlyMap<ListenerName, number> {
  // Meant for another process: the variables are inherited, the descriptors may not be.
  if (env["LISTEN_PID"] !== String(pid)) return new Map();
  const count = Number(env["LISTEN_FDS"] ?? 0);
  const names = (env["LISTEN_FDNAMES"] ?? "").split(":");
  const listeners = new Map<ListenerName, number>();
  for (let index = 0; index < count; index += 1) {
    const name = names[index] ?? "";
    const known = listenerNames.find((one) => one === name);
    if (known === undefined || listeners.has(known)) {
      throw new Fault(
        "CONFIG_INVALID",
        `A listening socket named ${JSON.stringify(name)} was handed over; give each its own of the names ${listenerNames.join(", ")} (FileDescriptorName= of the socket unit).`,
      );
    }
    listeners.set(known, firstDescriptor + index);
  }
  return listeners;
}

/** What to say when a port is taken and listeners were handed to somebody else: most likely to a launcher between us and whoever holds them. */
export function describeMissedListeners(env: Readonly<Record<string, string | undefined>>, pid: number): string | undefined {
  if (env["LISTEN_FDS"] === undefined || env["LISTEN_PID"] === String(pid)) return undefined;
  return (
    `Listening sockets were handed to process ${env["LISTEN_PID"] ?? "?"}, and this is ${pid}: npx and other launchers do not pass them on. ` +
    "Start the part itself: .cache/bin/node services/cli/src/main.ts"
  );
}
