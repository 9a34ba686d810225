/** The admin API on a loopback port of its own, for programs that cannot open the socket: with a key, and never for browsers. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Fault } from "@keyhole/core";
import { printAddress } from "../listeners.ts";
import type { Log } from "../log.ts";
import { readSecretFile } from "../state/secret-file.ts";
import { renderAdminRefusal } from "./admin-answers.ts";
import type { AdminApp } from "./admin-app.ts";
import { createAdminGuard } from "./admin-guard.ts";

/** As a Bearer carries it. Shorter ones can be guessed. */
const keyForm = /^[\x21-\x7e]{32,512}$/;

/** Reads the key that `admin.keyFile` names. Throws `Fault("KEYS_UNREADABLE")`. */
export function readAdminKey(keyFile: string, env: Readonly<Record<string, string | undefined>>): string {
  const key = readSecretFile(keyFile, env);
  if (keyForm.test(key)) return key;
  throw new Fault(
    "KEYS_UNREADABLE",
    `${keyFile} does not hold a key of the admin port: 32 to 512 printable characters on one line. Make one: openssl rand -base64 32`,
  );
}

/** Listens until disposed of. Throws `Fault("PORT_BUSY")`. */
export async function startAdminPort(options: {
  readonly listen: { readonly host: string; readonly port: number };
  readonly key: string;
  readonly app: AdminApp;
  readonly now: () => Date;
  readonly newRequestId: () => string;
  readonly log: Log;
}): Promise<AsyncDisposable & { readonly url: string }> {
  const { listen, app, newRequestId, log } = options;
  const judge = createAdminGuard(options);
  const answer = getRequestListener((request) => app.fetch(request, { orderer: "key" }), {
    overrideGlobalObjects: false,
    errorHandler: () => {
      const { status, headers, body } = renderAdminRefusal({ code: "REQUEST_MALFORMED" }, newRequestId());
      return new Response(body, { status, headers });
    },
  });
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 5000 }, (incoming, outgoing) => {
    const refusal = judge(incoming);
    if (refusal === undefined) return void answer(incoming, outgoing);
    log.warn({ event: "admin.refused", code: refusal.code }, "a call of the admin port was refused");
    send(outgoing, refusal, newRequestId());
    return;
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === "EADDRINUSE"
          ? new Fault("PORT_BUSY", `${printAddress(listen)} is in use: set admin.listen to another port.`, { cause })
          : cause,
      ),
    );
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${printAddress({ ...listen, port })}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(outgoing: ServerResponse, refusal: NonNullable<ReturnType<ReturnType<typeof createAdminGuard>>>, requestId: string): void {
  const more = refusal.retryAfterSeconds === undefined ? {} : { "Retry-After": String(refusal.retryAfterSeconds) };
  // A body that nobody reads is not waited for.
  const { status, headers, body } = renderAdminRefusal(refusal, requestId, { ...more, Connection: "close" });
  outgoing.writeHead(status, headers).end(body);
}
