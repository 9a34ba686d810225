/**
 * What broke in this package. This package imports nothing of ours, so it has its own fault. A message says what was
 * wanted, what was found and what to do, and holds no secret: it may reach a log.
 */

/** The closed list of what can break here. */
export type FrpFaultCode =
  | "FRP_BINARY_MISSING"
  | "FRP_BINARY_VERSION"
  | "FRP_BINARY_DIGEST"
  | "FRP_DOWNLOAD_CHECKSUM"
  | "FRP_BUILD_FAILED"
  | "FRPS_CONFIG_REJECTED"
  | "DASHBOARD_UNAVAILABLE"
  | "KICK_FAILED";

/** An error with a stable code. */
export class FrpFault extends Error {
  override readonly name = "FrpFault";
  readonly code: FrpFaultCode;

  constructor(code: FrpFaultCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
