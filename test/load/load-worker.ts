/**
 * Servers that the bench measures or compares with, each in a thread of its own, so that they do not share the load
 * generator's event loop. They end with the bench, whatever ends it.
 */
import { Worker } from "node:worker_threads";

/** A running server. `told` is what it said when it was ready. */
export type LoadWorker<Told> = AsyncDisposable & { readonly told: Told };

/** Starts the program of a worker (a URL beside the caller) and waits for its one message. */
export async function startLoadWorker<Told>(program: URL, workerData: unknown): Promise<LoadWorker<Told>> {
  const worker = new Worker(program, { workerData });
  const told = await new Promise<Told>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error(`${program.pathname} ended before it was ready`)));
  });
  return { told, [Symbol.asyncDispose]: async () => void (await worker.terminate()) };
}
