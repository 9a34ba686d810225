/** Asks `keyhole status` again and again, as an operator would, and tells the history what it said. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { KeyholeParts, Status } from "../support/keyhole-parts.ts";
import { awaitInstant } from "./await-instant.ts";
import { now, type StatusPoll, type Tell } from "./history.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));

/** Runs the command once. Resolves to undefined when it said nothing that can be read. */
export async function readStatus(keyhole: KeyholeParts): Promise<Status | undefined> {
  const child = spawn(process.execPath, [main, "status", "--json", "--config", join(keyhole.dir, "keyhole.toml")], {
    cwd: keyhole.dir,
    env: { PATH: process.env["PATH"] },
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => (text += String(chunk)));
  await new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    return JSON.parse(text) as Status;
  } catch {
    return undefined;
  }
}

/** Polls until it is disposed of. It takes half a second of a core each time, so there is a rest between. */
export function startStatusPolls(
  keyhole: KeyholeParts,
  options: { readonly restMs: number; readonly tell: Tell; readonly signal: AbortSignal },
): AsyncDisposable & { readonly count: number } {
  const { tell, restMs, signal } = options;
  let isOver = false;
  let count = 0;
  const stop = new AbortController();
  const polling = (async () => {
    while (!isOver && !signal.aborted) {
      const startedAt = now();
      const status = await readStatus(keyhole);
      if (isOver || signal.aborted) return;
      count += 1;
      if (status === undefined) tell({ kind: "broken-promise", at: now(), detail: "keyhole status said nothing that can be read" });
      else tell({ kind: "status-polled", at: now(), startedAt, states: statesOf(status) });
      await awaitInstant(now() + restMs, AbortSignal.any([signal, stop.signal]));
    }
  })();
  return {
    get count() {
      return count;
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      stop.abort();
      await polling;
    },
  };
}

const statesOf = ({ parts }: Status): StatusPoll["states"] =>
  Object.fromEntries(
    parts.map(({ part, state, status }) => [part, { state, ...(status === undefined ? {} : { pid: status.pid }) }]),
  ) as StatusPoll["states"];
