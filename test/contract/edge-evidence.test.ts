/** What the edge tells the plugin about its visitors' luck: the door's `readEvidence`. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asApp, asFrps, domain, type Harness, live, offline, openHarness, visit } from "./edge-harness.ts";

const host = `${live}.${domain}`;
let harness: Harness;
beforeEach(async () => {
  harness = await openHarness({ appTimeoutSeconds: 1 });
});
afterEach(() => harness[Symbol.asyncDispose]());

/** What changed since it was last asked here. */
function follow(): () => Promise<unknown[]> {
  let cursor: string | undefined;
  return async () => {
    const report = await harness.door.readEvidence(cursor);
    cursor = report?.cursor;
    return report?.evidence.map(({ label, failure }) => [label, failure]) ?? [];
  };
}

describe("what visitors met", () => {
  it("an answer of the app, no app, an app that is silent, and frps itself are told apart, once each", async () => {
    const changes = follow();
    expect(await changes()).toEqual([]);
    await visit(harness.edge, host);
    await visit(harness.edge, host);
    expect(await changes()).toEqual([[live, undefined]]);
    await visit(harness.edge, host);
    expect(await changes()).toEqual([]);

    harness.frps.handle = (_req, res) => asFrps(res);
    expect((await visit(harness.edge, host)).status).toBe(502);
    expect(await changes()).toEqual([[live, "APP_UNREACHABLE"]]);

    harness.frps.handle = (_req, res) => asFrps(res, 504);
    expect((await visit(harness.edge, host)).status).toBe(504);
    expect(await changes()).toEqual([[live, "APP_TIMEOUT"]]);

    harness.frps.handle = (_req, res) => void asApp(res).end();
    await visit(harness.edge, host);
    expect(await changes()).toEqual([[live, undefined]]);

    await harness.frps.close();
    expect((await visit(harness.edge, host)).status).toBe(503);
    expect(await changes()).toEqual([[live, "SERVER_UNREACHABLE"]]);
  });

  it("what the request itself is to blame for, and what nobody serves, says nothing about an app", async () => {
    const changes = follow();
    harness.frps.handle = (_req, res) => asFrps(res, 400);
    await visit(harness.edge, host);
    await visit(harness.edge, `${offline}.${domain}`);
    expect(await changes()).toEqual([]);
  });

  it("ends with its session: after the label was put or deleted nothing of before is told", async () => {
    const changes = follow();
    const slow = Promise.withResolvers<void>();
    harness.frps.handle = (_req, res) => void slow.promise.then(() => asFrps(res, 504));
    const asked = visit(harness.edge, host);
    while (harness.frps.seen.length === 0) await new Promise(setImmediate);
    await harness.door.put({ label: live, since: new Date() });
    slow.resolve();
    await asked;
    expect(await changes()).toEqual([]);
    await visit(harness.edge, host);
    await harness.door.delete(live, { lastSeen: new Date(), reason: "ended" });
    expect(await changes()).toEqual([]);
  });

  it("another edge begins anew, whatever cursor it is given", async () => {
    await visit(harness.edge, host);
    const cursor = (await harness.door.readEvidence(undefined))?.cursor;
    const next = await harness.again();
    harness.frps.handle = (_req, res) => asFrps(res);
    await visit(next, host);
    expect((await next.runtime.readEvidence(cursor))?.evidence).toMatchObject([{ label: live, failure: "APP_UNREACHABLE" }]);
  });
});
