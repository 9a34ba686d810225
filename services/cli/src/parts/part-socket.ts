/** Opens the socket of a part in `<stateDir>/run`. */
import type { Hono } from "hono";
import { type PartName, socketPath } from "../sockets/socket-path.ts";
import { startSocketServer } from "../sockets/socket-server.ts";
import type { Foundation } from "./foundation.ts";

/** Serves the app on the part's socket until disposed of. */
export function openPartSocket(foundation: Foundation, part: PartName, app: Hono): Promise<AsyncDisposable> {
  const { state, component } = foundation;
  return startSocketServer({ path: socketPath(state.path, part), app, isShared: state.isShared, log: component(part) });
}
