/**
 * The log: JSON lines on standard error, pretty on a terminal. What is said in one turn of the event loop is one write;
 * warnings, errors and whatever is said last before the process ends are written at once, with everything before them. Never a token, a ticket, a proof or a password: the parts
 * do not hand any over, and what slipped in under a known name is removed here.
 */
import { pino } from "pino";
import pretty from "pino-pretty";
import { gatherLines } from "./gathered-lines.ts";
import { openLogDestination } from "./log-destination.ts";

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
  const destination = options.isPretty ? openTerminal() : openStandardError((lines) => tellDropped(lines));
  const log = pino(settings, destination);
  const flush = "flushLines" in destination ? destination.flushLines : (): void => {};
  const tellDropped = (lines: number): void =>
    log.warn(
      { component: "log", event: "log.dropped", lines },
      `${lines} lines of the log were dropped: nobody read them, or the disk was full`,
    );
  return {
    component: (component) => ({
      debug: (fields, message) => log.debug({ component, ...fields }, message),
      info: (fields, message) => log.info({ component, ...fields }, message),
      warn(fields, message) {
        log.warn({ component, ...fields }, message);
        flush();
      },
      error(fields, message) {
        log.error({ component, ...fields }, message);
        flush();
      },
    }),
  };
}

function openTerminal(): ReturnType<typeof pretty> {
  const terminal = pretty({ destination: 2, sync: true, timestampKey: "ts", ignore: "component", messageFormat: "{component}: {msg}" });
  // Who reads the log may be gone (a closed terminal): that is no reason to stop.
  terminal.on("error", () => {});
  return terminal;
}

/** Lines of one turn are one write; a warning is written at once, with everything before it. */
function openStandardError(onDropped: (lines: number) => void): { write(line: string): void; flushLines(): void } {
  const destination = openLogDestination(2, onDropped);
  const lines = gatherLines((text) => destination.write(text));
  // Also where a fault that nobody caught ends the process.
  process.once("exit", () => {
    lines.flush();
    destination.flush();
  });
  return { write: lines.write, flushLines: lines.flush };
}
