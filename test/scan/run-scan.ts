/**
 * `node test/scan/run-scan.ts FOLDER [--whole]`: what `npm test` does last. `--whole`: every test ran, so that every kind of
 * log and of secret must be there.
 */
import { logSources, secretKinds } from "../support/test-record.ts";
import { scanRecord } from "./scan-record.ts";

const [folder = "", mode] = process.argv.slice(2);
const startedAt = performance.now();
const whole = mode === "--whole" ? { logs: logSources, kinds: secretKinds } : undefined;
const { files, bytes, secrets, problems } = scanRecord(folder, whole);
for (const problem of problems) process.stderr.write(`${problem}\n`);
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
process.stdout.write(`${(bytes / 1e6).toFixed(1)} MB in ${files} logs searched for ${secrets} secrets in ${seconds} s\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
