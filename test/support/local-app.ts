/** The app on a person's desktop: answers with its name, a little late if asked to. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A running app. `requests` counts what reached it. */
export type LocalApp = AsyncDisposable & { readonly port: number; readonly name: string; requests: number };

/** Starts an app on a free port. `?ms=` delays an answer; `handle` replaces what it does. */
export async function startLocalApp(
  name: string,
  handle?: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<LocalApp> {
  const server = createServer((request, response) => {
    app.requests += 1;
    if (handle !== undefined) return handle(request, response);
    const ms = Number(new URL(request.url ?? "/", "http://app").searchParams.get("ms") ?? 0);
    setTimeout(() => response.writeHead(200, { "Content-Type": "text/plain", "X-App": name }).end(name), ms);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const app: LocalApp = {
    name,
    port: (server.address() as AddressInfo).port,
    requests: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return app;
}
