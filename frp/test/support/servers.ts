/** The small servers around frp in a test: an app behind a tunnel, a visitor's request, free ports. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** An app on this machine. It answers everything with its name, and `/slow` after `delayMs`. */
export type App = { readonly port: number; [Symbol.asyncDispose](): Promise<void> };

/** Starts an app. */
export async function startApp(name: string, options: { readonly delayMs?: number } = {}): Promise<App> {
  const server = createServer((asked, response) => {
    asked.resume();
    delay(asked.url === "/slow" ? options.delayMs : 0).then(
      () => response.end(name),
      () => {},
    );
  });
  // An app keeps its connections: idle ones in frps's pool must not end by the app's doing.
  server.keepAliveTimeout = 120_000;
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: () => endServer(server) };
}

/** Ends a server and its connections. */
export async function endServer(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

/** What a visitor got. */
export type Visit = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string };

/** One request to frps's vhost port, on a connection of its own. Rejects when the connection breaks or 10 s pass. */
export function visit(port: number, host: string, path = "/"): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, agent: false, headers: { host }, timeout: 10_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer within 10 s")));
    asked.on("error", reject);
    asked.end();
  });
}

/** Ports that were free a moment ago, all different. frps cannot be told to choose one itself. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createTcpServer();
      await once(server.listen(0, "127.0.0.1"), "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return ports;
}
