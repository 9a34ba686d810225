/**
 * The way in at the control port: an address that is blocked or has too much of it is turned away before TLS costs anything, the others
 * get TLS, and who has shaken hands is handed on with the address it truly has.
 */
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { printEndpoint } from "./addresses.ts";
import { openCertificate } from "./certificate.ts";
import type { ControlDoorkeeper } from "./control-limits.ts";
import { type ListenOn, listen } from "./listen.ts";
import type { Log } from "./log.ts";

const handshakeMs = 5000;
export const keepAliveMs = 30_000;

/** Where a client comes from: its address, and as `ip:port`. */
export type ControlOrigin = { readonly address: string; readonly source: string };

export type ControlEntrance = {
  readonly port: number;
  /** Resets every connection that comes from such an address, also one whose handshake is under way. */
  end(isUnwanted: (address: string) => boolean): void;
  /** Lets nobody in any more; who is in stays. */
  close(): void;
  /** Ends everybody. */
  [Symbol.dispose](): void;
};

export async function openControlEntrance(options: {
  readonly listen: ListenOn;
  readonly certFile: string;
  readonly keyFile: string;
  readonly doorkeeper: ControlDoorkeeper;
  readonly onClient: (client: TLSSocket, origin: ControlOrigin) => void;
  readonly now: () => Date;
  readonly log: Log;
}): Promise<ControlEntrance> {
  const { doorkeeper, log } = options;
  const sockets = new Set<Socket>();
  const certificate = await openCertificate({
    certFile: options.certFile,
    keyFile: options.keyFile,
    onChange: (pair) => tls.setSecureContext({ ...pair, minVersion: "TLSv1.2" }),
    now: options.now,
    log,
  });
  // It never listens: it is given the connections that may come in.
  const tls = createTlsServer({ ...certificate.current(), minVersion: "TLSv1.2", handshakeTimeout: handshakeMs, allowHalfOpen: true });
  // Plain TCP, a wrong protocol, or five seconds of silence: closed, no answer.
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  tls.on("secureConnection", (client) => {
    client.on("error", () => {});
    const { remoteAddress: address, remotePort } = client;
    // Only an address that is known can be told to anybody; the peer may be gone already.
    if (address === undefined) client.destroy();
    else options.onClient(client, { address, source: printEndpoint(address, remotePort) });
  });

  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs });
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    const leave = socket.remoteAddress === undefined ? undefined : doorkeeper.admit(socket.remoteAddress);
    if (leave === undefined) {
      // A reset leaves nothing behind, not even with the kernel.
      socket.resetAndDestroy();
      return;
    }
    sockets.add(socket);
    socket.on("close", () => {
      sockets.delete(socket);
      leave();
    });
    tls.emit("connection", socket);
  });

  let port: number;
  try {
    ({ port } = await listen(server, options.listen, "control"));
  } catch (error) {
    certificate[Symbol.dispose]();
    throw error;
  }
  server.on("error", (error) => log.error({ reason: error.message }, "the control listener reported an error"));
  return {
    port,
    end(isUnwanted) {
      for (const socket of sockets) if (isUnwanted(socket.remoteAddress ?? "")) socket.resetAndDestroy();
    },
    close() {
      server.close();
    },
    [Symbol.dispose]() {
      certificate[Symbol.dispose]();
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
