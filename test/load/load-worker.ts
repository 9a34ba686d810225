/**
 * Programs that the bench measures, compares with or measures by, each in a thread of its own, so that they share nobody's
 * event loop and nobody's garbage collector. They end with the bench, whatever ends it.
 */
import { Worker } from "node:worker_threads";

/** A running program. `told` is what it said when it was ready. */
export type LoadWorker<Told, Question = never, Answer = never> = AsyncDisposable & {
  readonly told: Told;
  /** Sends a question and resolves to the next message; one at a time. Rejects when the program ends before, or the signal comes. */
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
};

/** Starts the program of a worker (a URL beside the caller) and waits for its first message. */
export async function startLoadWorker<Told, Question = never, Answer = never>(
  program: URL,
  workerData: unknown,
): Promise<LoadWorker<Told, Question, Answer>> {
  const worker = new Worker(program, { workerData });
  let waiting: PromiseWithResolvers<unknown> | undefined;
  const nextMessage = async (): Promise<unknown> => {
    waiting = Promise.withResolvers();
    return await waiting.promise;
  };
  worker.on("message", (message) => waiting?.resolve(message));
  worker.on("error", (error) => waiting?.reject(error));
  worker.on("exit", () => waiting?.reject(new Error(`${program.pathname} ended before it answered`)));
  const told = (await nextMessage()) as Told;
  return {
    told,
    async ask(question, signal) {
      signal.throwIfAborted();
      const answered = nextMessage();
      const stop = (): void => waiting?.reject(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      try {
        worker.postMessage(question);
        return (await answered) as Answer;
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
    [Symbol.asyncDispose]: async () => void (await worker.terminate()),
  };
}
