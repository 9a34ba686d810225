/** `keyhole up`: everything in one process, until SIGINT or SIGTERM. */
import { startKeyhole } from "../compose.ts";
import { startDemo } from "../demo/demo.ts";
import { renderSummary } from "../summary.ts";
import { nameConfigFile, openProcess, type ProcessOptions } from "./process.ts";

/** What may be said on the command line. */
export type UpOptions = ProcessOptions & { readonly demo?: boolean };

/** Runs until a signal. Resolves when everything has stopped, frps too. */
export async function runUp(options: UpOptions): Promise<void> {
  const startedAt = performance.now();
  const isDemo = options.demo === true;
  const { world, config, component, stop, stopped } = openProcess(options, isDemo ? "warn" : "info");

  await using stack = new AsyncDisposableStack();
  try {
    const keyhole = stack.use(await startKeyhole(config, world, component, stop.signal));
    const demo = isDemo ? stack.use(await startDemo(keyhole, config, world, component, stop.signal)) : undefined;
    const startedMs = performance.now() - startedAt;
    process.stdout.write(renderSummary({ urls: keyhole.urls, stateDir: config.stateDir, startedMs, demo, edgePort: keyhole.edgePort }));
  } catch (fault) {
    // Who asked us to stop does not want to hear that the start was not finished.
    if (!stop.signal.aborted) throw nameConfigFile(fault, options);
  }
  component("cli").info({ event: "stop", signal: await stopped }, "stopping");
}
