/**
 * Does somebody accept connections on a loopback port? The connection is closed at once, nothing is sent.
 *
 * A port of the ephemeral range can connect to itself when nobody listens on it (simultaneous open: the kernel picks the
 * very port as our own end). That is nobody, and it is closed at once, or frps could not listen there.
 */
import { connect } from "node:net";

/** "silent": neither accepted nor refused within the time. */
export function probeTcp(port: number, timeoutMs = 500): Promise<"accepts" | "refused" | "silent"> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const answer = (verdict: "accepts" | "refused" | "silent"): void => {
      socket.destroy();
      resolve(verdict);
    };
    socket.setTimeout(timeoutMs, () => answer("silent"));
    socket.once("error", () => answer("refused"));
    socket.once("connect", () => answer(socket.localPort === port ? "refused" : "accepts"));
  });
}
