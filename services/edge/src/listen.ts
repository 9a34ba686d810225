/**
 * Binds a listener or says in one sentence why not. Who holds a busy port is looked up by the cli, which may ask the system.
 */
import type { AddressInfo, Server } from "node:net";
import { Fault } from "@keyhole/core";

/** Resolves with the port that is bound (a port of 0 is chosen by the system). Throws `PORT_BUSY`. */
export function listen(server: Server, address: { readonly host: string; readonly port: number }, what: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      const place = `${address.host}:${address.port}`;
      const why =
        cause.code === "EADDRINUSE"
          ? "is in use by another process. Stop it, or choose another port"
          : `cannot be bound (${cause.code ?? cause.message}). Choose an address of this machine and a port that this user may open`;
      reject(new Fault("PORT_BUSY", `The edge's ${what} address ${place} ${why}.`, { cause }));
    };
    server.once("error", failed);
    // Node's default of 511 is too small for the moment after a restart, when every client comes back at once.
    server.listen({ host: address.host, port: address.port, backlog: 4096 }, () => {
      server.off("error", failed);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
