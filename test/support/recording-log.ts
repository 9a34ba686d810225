/** A log that keeps what it was told, to be searched for what must not be in it: here, and at the end of the run. */
import { recordLog } from "./test-record.ts";

export function createRecordingLog(): {
  readonly lines: string[];
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
} {
  const lines: string[] = [];
  const write = (level: string) => (fields: object, message: string) => {
    const line = JSON.stringify({ level, ...fields, message });
    lines.push(line);
    recordLog("inside", `${line}\n`);
  };
  return { lines, debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
