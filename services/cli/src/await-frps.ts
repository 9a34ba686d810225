/** Waiting for frps at a start. */
import { Fault } from "@keyhole/core";
import type { Supervisor } from "@keyhole/supervisor";

/** How long frps may take to be ready at a start. */
const startTimeoutMs = 30_000;

/** Resolves when frps is ready. Throws `Fault("FRPS_NOT_READY")` when it is not in time, or when `signal` is aborted before. */
export async function awaitFrps(supervisor: Supervisor, signal: AbortSignal | undefined): Promise<void> {
  const deadline = AbortSignal.timeout(startTimeoutMs);
  const over = AbortSignal.any(signal === undefined ? [deadline] : [deadline, signal]);
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      const { state, lastExit } = supervisor.status();
      reject(
        new Fault(
          "FRPS_NOT_READY",
          signal?.aborted === true
            ? "Stopped before frps was ready."
            : `frps is not ready after ${startTimeoutMs / 1000} s (${state}). ${lastExit ?? "It has said nothing; see frps.log in stateDir."}`,
        ),
      );
    };
    if (over.aborted) stop();
    over.addEventListener("abort", stop, { once: true });
    supervisor.whenReady().then(resolve, reject);
  });
}
