/**
 * What a program of the bench tells of its own thread: CPU time, which unlike every duration hardly depends on what else the
 * machine is doing; the heap; and how late its event loop was.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort } from "node:worker_threads";

/**
 * Each is answered by one number. `cpu`: µs so far. `heap`: bytes of JavaScript objects and buffers, after a collection.
 * `watch`: begins to watch the event loop, 0. `delay50`, `delay99`, `delayMax`: ms that a timer of 1 ms was late since then.
 */
export type ThreadQuestion = "cpu" | "heap" | "watch" | "delay50" | "delay99" | "delayMax";

const resolutionMs = 1;

/** In a program: answers whoever asks. */
export function answerThreadQuestions(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const loop = monitorEventLoopDelay({ resolution: resolutionMs });
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
  const answers: Readonly<Record<ThreadQuestion, () => number>> = {
    cpu() {
      const { user, system } = process.threadCpuUsage();
      return user + system;
    },
    heap() {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    },
    watch() {
      loop.enable();
      loop.reset();
      return 0;
    },
    delay50: () => late(loop.percentile(50)),
    delay99: () => late(loop.percentile(99)),
    delayMax: () => late(loop.max),
  };
  parentPort?.on("message", (question: unknown) => {
    if (typeof question === "string" && question in answers) parentPort?.postMessage(answers[question as ThreadQuestion]());
  });
}
