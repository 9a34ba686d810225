/** sessions.db, opened to be written: by the plugin, or by a command that holds the plugin's lock while it is away. */
import { join } from "node:path";
import type { SessionStore } from "@keyhole/core";
import { openSessionStore } from "@keyhole/store";
import type { Log } from "../log.ts";

/** Opens it. Throws `STORE_CORRUPT`, `STORE_NEWER` or `STORE_UNAVAILABLE`. */
export function openSessionsOf(state: { readonly path: string }, log: Log): Promise<SessionStore> {
  return openSessionStore({ path: join(state.path, "sessions.db"), log });
}
