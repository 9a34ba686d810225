/**
 * What broke in keeping frps alive. Of its own, because this package knows only `frp`; a binary or a config that is not
 * what it should be stays the `FrpFault` of that package.
 */

/**
 * FRPS_STOPPED: readiness was awaited, and a stop came first. FRPS_RECORDED_NOT_ENDED: the frps of an earlier run lives and
 * cannot be ended. FRPS_PORT_BUSY: another process holds a port that frps needs. FRPS_START_FAILED: the binary did not run.
 */
export type SupervisorFaultCode = "FRPS_STOPPED" | "FRPS_RECORDED_NOT_ENDED" | "FRPS_PORT_BUSY" | "FRPS_START_FAILED";

/** An error with a stable code. The message says what was wanted, what was found and what to do; it holds no secret. */
export class SupervisorFault extends Error {
  override readonly name = "SupervisorFault";
  readonly code: SupervisorFaultCode;

  constructor(code: SupervisorFaultCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** True when time alone may mend it: a port may become free, and a stop is no failure. A wrong binary or config stays wrong. */
export function isTransient(error: unknown): boolean {
  return error instanceof SupervisorFault && (error.code === "FRPS_PORT_BUSY" || error.code === "FRPS_STOPPED");
}
