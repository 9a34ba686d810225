/** Everything a process takes from outside: its only copies of clock, randomness and environment. */
import { randomBytes, randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";

/** Capabilities that the composition hands to the parts. */
export type World = {
  readonly now: () => Date;
  /** Milliseconds from some moment on; never backwards, whatever is done to the clock. */
  readonly monotonicMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly newRequestId: () => string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Where set-up put frps and frpc. */
  readonly binaryCache: string;
  readonly version: string;
  /** True when the configuration's file says something else by now than this process runs with, or nothing that a start would take. */
  readonly isConfigOutdated?: () => boolean;
};

/** The real world. */
export function createWorld(): World {
  return {
    now: () => new Date(),
    monotonicMs: () => performance.now(),
    randomBytes: (length) => randomBytes(length),
    newRequestId: () => randomUUID(),
    env: process.env,
    pid: process.pid,
    binaryCache: fileURLToPath(new URL("../../../.cache/frp", import.meta.url)),
    version: "0.1.0",
  };
}
