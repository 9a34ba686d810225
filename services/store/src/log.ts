/**
 * What this package needs of a log: pino fits it.
 */

/** A log as a capability. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};
