/**
 * Binds a listener, or goes on with a listening socket that was handed to us open, or says in one sentence why not. A
 * socket that somebody else holds (systemd, socket activation) loses no connection while we are being restarted: they wait
 * in its queue, and closing ours closes our own descriptor only. Who holds a busy port is looked up by the cli, which may ask
 * the system.
 */
import type { Server } from "node:net";
import { Fault } from "@keyhole/core";

/** Where to listen: an address to bind, or the number of a descriptor that is open and listens already. */
export type ListenOn = { readonly host: string; readonly port: number } | { readonly fd: number };

/** Node's default of 511 is too small for the moment after a restart, when every client comes back at once. */
const backlog = 4096;

/** Resolves with what is bound (a port of 0 is chosen by the system). Throws `PORT_BUSY`. */
export function listen(server: Server, on: ListenOn, what: string): Promise<{ readonly host: string; readonly port: number }> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      server.off("listening", listening);
      reject(new Fault("PORT_BUSY", "fd" in on ? explainDescriptor(on.fd, what, cause) : explainAddress(on, what, cause), { cause }));
    };
    const listening = (): void => {
      server.off("error", failed);
      const bound = server.address();
      if (bound !== null && typeof bound === "object") {
        resolve({ host: "fd" in on ? bound.address : on.host, port: bound.port });
        return;
      }
      server.close();
      failed(new Error("it is no TCP socket"));
    };
    server.once("error", failed);
    server.once("listening", listening);
    // For a descriptor Node takes the backlog from here only, and would else shorten the holder's queue to its default.
    if ("fd" in on) server.listen({ fd: on.fd }, backlog);
    else server.listen({ host: on.host, port: on.port, backlog });
  });
}

function explainAddress(on: { readonly host: string; readonly port: number }, what: string, cause: NodeJS.ErrnoException): string {
  const why =
    cause.code === "EADDRINUSE"
      ? "is in use by another process. Stop it, or choose another port"
      : `cannot be bound (${cause.code ?? cause.message}). Choose an address of this machine and a port that this user may open`;
  return `The edge's ${what} address ${on.host}:${on.port} ${why}.`;
}

function explainDescriptor(fd: number, what: string, cause: NodeJS.ErrnoException): string {
  return `The edge was given descriptor ${fd} as its ${what} socket, and cannot listen on it (${cause.code ?? cause.message}). Give it a listening TCP socket.`;
}
