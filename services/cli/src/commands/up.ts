/** `keyhole up`: everything in one process, until SIGINT or SIGTERM. */
import { startKeyhole } from "../compose.ts";
import { loadConfig } from "../config/load-config.ts";
import { startDemo } from "../demo/demo.ts";
import { createLog } from "../log.ts";
import { renderSummary } from "../summary.ts";
import { createWorld } from "../world.ts";

/** What may be said on the command line. */
export type UpOptions = { readonly config?: string; readonly demo?: boolean; readonly logLevel?: string };

/** Runs until a signal. Resolves when everything has stopped. */
export async function runUp(options: UpOptions): Promise<void> {
  const startedAt = performance.now();
  const world = createWorld();
  process.umask(0o007);
  const config = loadConfig({ file: options.config, cwd: process.env["INIT_CWD"] ?? process.cwd(), env: world.env });
  const isDemo = options.demo === true;
  const level = options.logLevel ?? (world.env["KEYHOLE_LOG_LEVEL"] || (isDemo ? "warn" : "info"));
  const { component } = createLog({ level, isPretty: process.stderr.isTTY === true });
  const stop = new AbortController();
  const signalled = waitForSignal(stop);

  await using stack = new AsyncDisposableStack();
  try {
    const keyhole = stack.use(await startKeyhole(config, world, component, stop.signal));
    const demo = isDemo ? stack.use(await startDemo(keyhole, config, world, component, stop.signal)) : undefined;
    const startedMs = performance.now() - startedAt;
    process.stdout.write(renderSummary({ urls: keyhole.urls, stateDir: config.stateDir, startedMs, demo, edgePort: keyhole.edgePort }));
  } catch (fault) {
    // Who asked us to stop does not want to hear that the start was not finished.
    if (!stop.signal.aborted) throw fault;
  }
  component("cli").info({ event: "stop", signal: await signalled }, "stopping");
}

/** Aborts with the first SIGINT, SIGTERM or SIGHUP, and resolves to it. */
function waitForSignal(stop: AbortController): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        if (stop.signal.aborted) process.stderr.write("keyhole: still stopping; kill -9 ends it at once, and the next start cleans up.\n");
        stop.abort();
        resolve(name);
      });
    }
  });
}
