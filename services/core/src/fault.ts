/**
 * What broke, as opposed to what was refused. A fault is thrown with a code; it is caught in two places only: an app's
 * error hook and a command of the cli. Its message says what was wanted, what was found and what to do.
 */

/** The closed list of fault codes. */
export type FaultCode =
  | "CONFIG_INVALID"
  | "CONFIG_UNREADABLE"
  | "STATE_LOCKED"
  | "STATE_UNWRITABLE"
  | "PORT_BUSY"
  | "KEYS_UNREADABLE"
  | "KEY_IN_USE"
  | "KEY_UNKNOWN"
  | "SELF_TEST_FAILED"
  | "STORE_UNAVAILABLE"
  | "STORE_CORRUPT"
  | "STORE_NEWER"
  | "BACKUP_INVALID"
  | "BACKUP_MISSING"
  | "BACKUP_EXISTS"
  | "CERTIFICATE_UNREADABLE"
  | "EDGE_UNREACHABLE"
  | "PART_UNREACHABLE"
  | "FRPS_NOT_READY"
  | "TUNNEL_NOT_UP";

/** An error with a stable code. The message is for a person and holds no secret. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;

  constructor(code: FaultCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
