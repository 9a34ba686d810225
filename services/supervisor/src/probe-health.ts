/** Does frps's dashboard answer `/healthz` with 200? It needs no password for that. On a connection of its own each time. */
import { get } from "node:http";

/** Resolves false for any other answer, for none, and when aborted. */
export function probeHealth(port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = get({ host: "127.0.0.1", port, path: "/healthz", agent: false, signal }, (response) => {
      resolve(response.statusCode === 200);
      response.on("error", () => resolve(false)).resume();
    });
    asked.on("error", () => resolve(false));
  });
}
