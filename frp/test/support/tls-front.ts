/** What ends TLS for frpc in production, in ten lines. */
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import type { TestCertificates } from "./certificates.ts";

/** A running front. `alerts` are what clients said against its certificate. */
export type TlsFront = { readonly port: number; readonly alerts: readonly string[]; [Symbol.asyncDispose](): Promise<void> };

/** Ends TLS with this certificate and passes what is inside to a port on loopback. */
export async function startTlsFront(certificates: TestCertificates, target: number): Promise<TlsFront> {
  const sockets = new Set<TLSSocket>();
  const alerts: string[] = [];
  const server = createServer({ key: certificates.key, cert: certificates.cert }, (socket) => {
    const upstream = connect(target, "127.0.0.1");
    sockets.add(socket);
    socket.on("error", (error) => {
      alerts.push(error.message);
      upstream.destroy();
    });
    socket.pipe(upstream);
    upstream.on("error", () => socket.destroy()).pipe(socket);
  });
  // Said by the client, and noticed once the handshake is through on this side.
  server.on("tlsClientError", (error) => alerts.push(error.message));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    alerts,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
