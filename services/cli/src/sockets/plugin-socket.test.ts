import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Log } from "../log.ts";
import { createTellRevoked, serveRevocations, withinEnforceTimeout } from "./plugin-socket.ts";
import { createSocketClient } from "./socket-client.ts";
import { startSocketServer } from "./socket-server.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
let dir = "";
let stack = new AsyncDisposableStack();
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-plugin-socket-"));
  stack = new AsyncDisposableStack();
});
afterEach(async () => {
  await stack.disposeAsync();
  rmSync(dir, { recursive: true, force: true });
});
const path = (): string => join(dir, "plugin.sock");

/** A plugin that enforces as it is told. */
async function startPlugin(enforce: () => Promise<void>): Promise<AsyncDisposable> {
  const app = new Hono();
  serveRevocations(app, enforce);
  return stack.use(await startSocketServer({ path: path(), app, isShared: false, log: silent }));
}
const tell = (timeoutMs: number) => {
  const client = stack.use(createSocketClient(path()));
  return createTellRevoked(() => client.call("POST", "/revocations", {}, timeoutMs));
};

describe("the word that a revocation is committed", () => {
  it("12: is answered when it is enforced, and with pending while the plugin is away, slow or failing", async () => {
    const told = tell(1000);
    expect(await told()).toBe("pending");
    let enforced = 0;
    const plugin = await startPlugin(async () => {
      enforced += 1;
    });
    expect([await told(), enforced]).toEqual(["enforced", 1]);
    await plugin[Symbol.asyncDispose]();
    await startPlugin(async () => {
      throw new Error("no store");
    });
    expect(await told()).toBe("pending");
    await startPlugin(() => new Promise(() => {}));
    expect(await tell(50)()).toBe("pending");
  });

  it("6: is never shared with a call that began before the commit: those who come meanwhile share the next one", async () => {
    const calls: PromiseWithResolvers<void>[] = [];
    const told = createTellRevoked(() => {
      const call = Promise.withResolvers<void>();
      calls.push(call);
      return call.promise;
    });
    const first = told();
    const others = [told(), told(), told()];
    expect(calls).toHaveLength(1);
    calls[0]?.resolve();
    expect(await first).toBe("enforced");
    calls[1]?.reject(new Error("away"));
    expect([await Promise.all(others), calls.length]).toEqual([["pending", "pending", "pending"], 2]);
    const last = told();
    calls[2]?.resolve();
    expect(await last).toBe("enforced");
  });

  it("waits a second for whoever enforces in the same process, and no longer", async () => {
    await expect(withinEnforceTimeout(Promise.resolve())).resolves.toBeUndefined();
    await expect(withinEnforceTimeout(new Promise(() => {}))).rejects.toThrow("not enforced in time");
  });
});
