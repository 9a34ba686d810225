/**
 * Capability: where the edge writes what an operator should read. Structural, so that any logger with these four methods
 * fits. Nothing secret is ever given to it: no path, query, header or token, they are the tenant's (invariant 9).
 */

/** A logger as the edge needs it. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};
