/**
 * Port 7000: TLS for frpc ends here (DESIGN.md §1), and a plain TCP connection goes on to frps on loopback. frps knows the
 * client by the outgoing connection's own address, so that address is written down together with the true source *before*
 * the first byte is passed: by the time the plugin sees a Login, `sourceOf` and `cut` know the connection. What does not
 * speak TLS is closed without an answer.
 */
import { connect, type Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { printEndpoint } from "./addresses.ts";
import { openCertificate } from "./certificate.ts";
import { joinSockets } from "./join-sockets.ts";
import { listen } from "./listen.ts";
import type { Log } from "./log.ts";

const handshakeMs = 5000;
const connectMs = 3000;
const keepAliveMs = 30_000;

export type ControlListener = {
  readonly port: number;
  cut(clientAddress: string): boolean;
  sourceOf(clientAddress: string): string | undefined;
  connections(): number;
  bytes(): { readonly in: number; readonly out: number };
  /** Stops accepting; what is connected stays. */
  close(): void;
  [Symbol.dispose](): void;
};

type Pair = { readonly source: string; readonly client: TLSSocket; readonly frps: Socket };

export async function startControlListener(options: {
  readonly listen: { readonly host: string; readonly port: number };
  readonly certFile: string;
  readonly keyFile: string;
  readonly frps: { readonly host: string; readonly port: number };
  readonly now: () => Date;
  readonly log: Log;
}): Promise<ControlListener> {
  const { log } = options;
  const pairs = new Map<string, Pair>();
  const sockets = new Set<Socket>();
  const bytes = { in: 0, out: 0 };

  const certificate = await openCertificate({
    certFile: options.certFile,
    keyFile: options.keyFile,
    onChange: (pair) => server.setSecureContext({ ...pair, minVersion: "TLSv1.2" }),
    now: options.now,
    log,
  });
  const server = createServer({
    ...certificate.current(),
    minVersion: "TLSv1.2",
    handshakeTimeout: handshakeMs,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  });
  // Plain TCP, a wrong protocol, or five seconds of silence: closed, no answer.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("secureConnection", (client) => {
    // Only an address that is known can be told to anybody; the peer may be gone already.
    const source = client.remoteAddress === undefined ? undefined : printEndpoint(client.remoteAddress, client.remotePort);
    client.on("error", () => {});
    if (source === undefined) {
      client.destroy();
      return;
    }
    const frps = connect({
      host: options.frps.host,
      port: options.frps.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      allowHalfOpen: true,
    });
    const giveUp = setTimeout(() => frps.destroy(), connectMs).unref();
    let clientAddress: string | undefined;
    frps.on("error", (error) => log.debug({ reason: error.message }, "the connection to frps failed"));
    frps.on("connect", () => {
      clearTimeout(giveUp);
      if (client.destroyed) {
        frps.destroy();
        return;
      }
      clientAddress = printEndpoint(frps.localAddress, frps.localPort);
      pairs.set(clientAddress, { source, client, frps });
      joinSockets(client, frps, {
        fromOne: (count) => {
          bytes.in += count;
        },
        fromOther: (count) => {
          bytes.out += count;
        },
      });
    });
    frps.on("close", () => {
      clearTimeout(giveUp);
      if (clientAddress === undefined) client.destroy();
      else pairs.delete(clientAddress);
    });
    client.on("close", () => {
      if (clientAddress === undefined) frps.destroy();
    });
  });

  let port: number;
  try {
    port = await listen(server, options.listen, "control");
  } catch (error) {
    certificate[Symbol.dispose]();
    throw error;
  }
  server.on("error", (error) => log.error({ reason: error.message }, "the control listener reported an error"));
  return {
    port,
    cut(clientAddress) {
      const pair = pairs.get(clientAddress);
      if (pair === undefined) return false;
      pairs.delete(clientAddress);
      pair.client.destroy();
      pair.frps.destroy();
      log.info({ clientAddress, source: pair.source }, "a control connection was cut");
      return true;
    },
    sourceOf: (clientAddress) => pairs.get(clientAddress)?.source,
    connections: () => pairs.size,
    bytes: () => ({ ...bytes }),
    close() {
      server.close();
    },
    [Symbol.dispose]() {
      certificate[Symbol.dispose]();
      server.close();
      for (const pair of pairs.values()) {
        pair.client.destroy();
        pair.frps.destroy();
      }
      for (const socket of sockets) socket.destroy();
    },
  };
}
