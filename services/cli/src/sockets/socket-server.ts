/**
 * What a part says to the others: HTTP with JSON on a unix socket, so that `curl --unix-socket` can ask it too. Who may
 * open the socket (its owner; in a shared state directory, the group) is trusted: there is no other check.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Fault } from "@keyhole/core";
import type { Hono } from "hono";
import type { Log } from "../log.ts";

/** Serves the app until disposed of. Whoever holds the part's lock may take the place of a socket that was left behind. */
export async function startSocketServer(options: {
  readonly path: string;
  readonly app: Hono;
  readonly isShared: boolean;
  readonly log: Log;
}): Promise<AsyncDisposable> {
  const { path, app, log } = options;
  app.notFound((c) => c.json({ code: "NOT_FOUND" }, 404));
  app.onError((error, c) => {
    const code = error instanceof Fault ? error.code : "INTERNAL_ERROR";
    log.warn({ code, path: c.req.path, cause: error.message }, "a call on the socket failed");
    return c.json({ code, message: error.message }, 500);
  });
  const server = createServer(
    { keepAliveTimeout: 95_000, headersTimeout: 10_000, requestTimeout: 15_000 },
    getRequestListener((request) => app.fetch(request), { overrideGlobalObjects: false }),
  );
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        new Fault("STATE_UNWRITABLE", `The socket ${path} cannot be opened (${cause.code}); check stateDir and its permissions.`, {
          cause,
        }),
      );
    });
    server.listen({ path, backlog: 1024 }, resolve);
  });
  chmodSync(path, options.isShared ? 0o660 : 0o600);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
