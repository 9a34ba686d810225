/**
 * A process to be killed: takes the lock of a state directory, says so, and keeps it. `node hold-lock.ts <dir>`
 */
import { openStateLock } from "../src/index.ts";

await openStateLock({ dir: process.argv[2] ?? "", pid: process.pid });
process.stdout.write("held\n");
process.stdin.resume(); // stays until it is killed, or until whoever started it is gone
process.stdin.on("end", () => process.exit(0));
