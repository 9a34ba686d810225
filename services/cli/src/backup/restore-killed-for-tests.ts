/**
 * A restore that is killed: `node restore-killed-for-tests.ts <stateDir> <backup> <step>` ends itself with SIGKILL just before its
 * step of that number, as a machine that loses its power would. Prints each step before.
 */
import { openStateDirectory } from "../state/state-directory.ts";
import { restoreBackup } from "./restore-backup.ts";

const [stateDir = "", file = "", killAt = "0"] = process.argv.slice(2);
let steps = 0;
const say = (): void => {};
const { isFinished } = await restoreBackup({
  state: openStateDirectory(stateDir, "private"),
  file,
  windowSeconds: 300,
  signerOf: () => undefined,
  now: () => new Date(),
  pid: process.pid,
  log: { debug: say, info: say, warn: say, error: say },
  progress: say,
  onStep(step) {
    steps += 1;
    if (steps === Number(killAt)) process.kill(process.pid, "SIGKILL");
    process.stdout.write(`${step}\n`);
  },
});
process.stdout.write(isFinished ? "finished\n" : "restored\n");
