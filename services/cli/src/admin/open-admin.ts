/** Opens the admin API of the plugin's process: the app for its socket, and the port where one is configured. */
import { join } from "node:path";
import type { SessionReader, TokenReader } from "@keyhole/core";
import type { Plugin } from "@keyhole/plugin";
import { openEventReader } from "@keyhole/store";
import type { Foundation } from "../parts/foundation.ts";
import type { PartStatus } from "../sockets/part-status.ts";
import { type AdminApp, createAdminApp } from "./admin-app.ts";
import { readAdminKey, startAdminPort } from "./admin-port.ts";

/** Opens it. Throws `KEYS_UNREADABLE` or `PORT_BUSY`: with a port that is configured and cannot be had, nothing starts. */
export async function openAdmin(
  foundation: Foundation,
  parts: {
    readonly plugin: Plugin;
    readonly sessions: SessionReader;
    readonly tokens: Pick<TokenReader, "newestToken" | "notBefore">;
    readonly readPart: () => Promise<PartStatus>;
  },
): Promise<AsyncDisposable & { readonly app: AdminApp }> {
  const { config, world, state, component } = foundation;
  const { now, newRequestId, env } = world;
  const log = component("admin");
  await using stack = new AsyncDisposableStack();
  const openEvents = (writer: "tokens" | "sessions") => stack.use(openEventReader({ path: join(state.path, `${writer}.db`), writer }));
  const app = createAdminApp({
    plugin: parts.plugin,
    identities: {
      ...parts,
      events: { tokens: openEvents("tokens"), sessions: openEvents("sessions") },
      tunnelUrl: (label) => foundation.publicUrl.replace("{label}", label),
      now,
    },
    readPart: parts.readPart,
    now,
    newRequestId,
    log,
  });
  const { "admin.listen": listen, "admin.keyFile": keyFile } = config;
  if (listen !== undefined && keyFile !== undefined) {
    const at = { host: listen.host, port: foundation.portOf("admin.listen") };
    const { url } = stack.use(await startAdminPort({ listen: at, key: readAdminKey(keyFile, env), app, now, newRequestId, log }));
    log.info({ event: "admin.listening", url }, "the admin API listens");
  }
  const running = stack.move();
  return { app, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
