/** `<stateDir>/ready.json`: exists while everything serves, for programs that start Keyhole and wait. */
import { readFileSync, rmSync } from "node:fs";
import { writePrivateFile } from "./private-file.ts";

/** What the file says. */
export type Ready = {
  readonly pid: number;
  readonly urls: { readonly token: string; readonly edge: string; readonly control: string; readonly metrics: string };
  readonly binaries: { readonly frps: string; readonly frpc: string };
};

/** Writes the file; disposing takes it away, unless another process has written its own meanwhile. */
export function writeReadyFile({ file, ...ready }: Ready & { readonly file: string }): Disposable {
  writePrivateFile(file, `${JSON.stringify(ready, undefined, 2)}\n`);
  return {
    [Symbol.dispose]() {
      if (readReady(file)?.pid === ready.pid) rmSync(file, { force: true });
    },
  };
}

function readReady(file: string): Ready | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Ready;
  } catch {
    return undefined;
  }
}
