/** The CPU time of a program's own thread: unlike every duration, it hardly depends on what else the machine is doing. */
import { parentPort } from "node:worker_threads";

/** Asks a program for its CPU time so far; answered in microseconds. */
export type CpuQuestion = "cpu";

/** In a program: answers whoever asks. */
export function answerCpuQuestions(): void {
  parentPort?.on("message", (question: CpuQuestion) => {
    if (question !== "cpu") return;
    const { user, system } = process.threadCpuUsage();
    parentPort?.postMessage(user + system);
  });
}
