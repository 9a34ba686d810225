/**
 * The log: JSON lines on standard error, pretty on a terminal. Never a token, a ticket, a proof or a password: the parts
 * do not hand any over, and what slipped in under a known name is removed here.
 */
import { pino } from "pino";
import pretty from "pino-pretty";

/** What the parts are given. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

/** Makes the log of a process. `component(name)` is the log of one of its parts. */
export function createLog(options: { readonly level: string; readonly isPretty: boolean }): { readonly component: (name: string) => Log } {
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: ["token", "ticket", "runId", "run_id", "signature", "password", "authorization", "jwt", "secret", "seed"],
      remove: true,
    },
  };
  const destination = options.isPretty
    ? pretty({ destination: 2, sync: true, timestampKey: "ts", ignore: "component", messageFormat: "{component}: {msg}" })
    : pino.destination({ fd: 2, sync: true });
  // Who reads the log may be gone (a closed terminal): that is no reason to stop.
  destination.on("error", () => {});
  const log = pino(settings, destination);
  return {
    component: (component) => ({
      debug: (fields, message) => log.debug({ component, ...fields }, message),
      info: (fields, message) => log.info({ component, ...fields }, message),
      warn: (fields, message) => log.warn({ component, ...fields }, message),
      error: (fields, message) => log.error({ component, ...fields }, message),
    }),
  };
}
