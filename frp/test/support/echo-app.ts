/** An app that tells what reached it, and does on request what apps do: fail, stream, upgrade. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { endServer } from "./servers.ts";

/** What the app was asked, as it arrived. */
export type Asked = { readonly method: string; readonly url: string; readonly rawHeaders: readonly string[] };

/** A running app. `streams` are its unended answers to `/stream`. */
export type EchoApp = {
  readonly port: number;
  readonly asked: Asked[];
  readonly streams: ServerResponse[];
  [Symbol.asyncDispose](): Promise<void>;
};

/** Starts it. `/missing` is its own 404, `/stream` never ends, `/silent` is never answered, and `CONNECT` is accepted. */
export async function startEchoApp(): Promise<EchoApp> {
  const server = createServer((request, response) => {
    app.asked.push({ method: request.method ?? "", url: request.url ?? "", rawHeaders: request.rawHeaders });
    response.setHeader("x-mark", "forged");
    const url = request.url ?? "";
    if (url.startsWith("/silent")) return;
    if (url.startsWith("/hints")) response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.statusCode = url.startsWith("/missing") ? 404 : 200;
    if (url.startsWith("/stream")) {
      app.streams.push(response);
      response.write("first");
      return;
    }
    request.resume();
    response.end(JSON.stringify({ url: request.url, headers: request.headers }));
  });
  server.on("upgrade", (_request, socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nupgraded");
    app.upgraded.push(socket as never);
  });
  server.on("connect", (request, socket) => {
    app.asked.push({ method: "CONNECT", url: request.url ?? "", rawHeaders: request.rawHeaders });
    socket.on("error", () => {});
    socket.end("HTTP/1.1 200 OK\r\n\r\nconnected to the app");
  });
  server.keepAliveTimeout = 120_000;
  await once(server.listen(0, "127.0.0.1"), "listening");
  const app: EchoApp & { upgraded: { destroy(): void }[] } = {
    port: (server.address() as AddressInfo).port,
    asked: [],
    streams: [],
    upgraded: [],
    [Symbol.asyncDispose]: async () => {
      for (const socket of app.upgraded) socket.destroy();
      await endServer(server);
    },
  };
  return app;
}

/** The values of the headers of this name as the app got them, joined as HTTP does it; undefined when there is none. */
export function headerOf(asked: Asked | undefined, name: string): string | undefined {
  const raw = asked?.rawHeaders ?? [];
  const values = raw.filter((_, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === name);
  return values.length === 0 ? undefined : values.join(", ");
}
