/** Whatever happens in whatever order, the plugin never says of a label what frps, the hook or the edge has denied. */
import { type EdgeFailure, type Label, parseLabel } from "@keyhole/core";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BenchClient, type HookBench, showOnDashboard, startHookBench } from "../support/hook-bench.ts";

let bench: HookBench;
beforeAll(async () => {
  bench = await startHookBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

type Step =
  | { readonly kind: "login" | "register" | "close" | "edge" }
  | { readonly kind: "wait"; readonly seconds: number }
  | { readonly kind: "dashboard"; readonly shows: "everybody" | "nobody" | "gone" | "broken" }
  | { readonly kind: "visit"; readonly failure: EdgeFailure | undefined };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Step>({ kind: "login" }, { kind: "register" }, { kind: "register" }, { kind: "close" }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), seconds: fc.constantFrom(1, 3, 11, 61) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("dashboard" as const),
      shows: fc.constantFrom("everybody", "everybody", "nobody", "gone", "broken"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("visit" as const),
      failure: fc.constantFrom<EdgeFailure | undefined>("APP_UNREACHABLE", "APP_TIMEOUT", undefined),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "edge" }) },
);

/** What is known to be false, by who said so. */
class Denials {
  client: BenchClient | undefined;
  /** When its proxy was registered; undefined while nobody may be called connected. */
  connectedAt: number | undefined;
  failedAt: number | undefined;
  dashboard: "everybody" | "nobody" | "gone" | "broken" = "everybody";
}

async function take(one: Step, label: Label, model: Denials): Promise<void> {
  const nowMs = bench.now.getTime();
  switch (one.kind) {
    case "login": {
      // A wallet gets one token a second; who signs sooner waits.
      bench.now = new Date(nowMs + 1000);
      const login = await bench.login(label, await bench.buyToken(label));
      if (typeof login === "string") throw new Error(login);
      Object.assign(model, { client: login, connectedAt: undefined, failedAt: undefined });
      return;
    }
    case "register": {
      if (model.client === undefined) return;
      const reply = await bench.newProxy(model.client);
      if (!reply.text.includes('"reject":true') && model.connectedAt === undefined)
        Object.assign(model, { connectedAt: nowMs, failedAt: undefined });
      return;
    }
    case "close":
      if (model.client === undefined) return;
      await bench.closeProxy(model.client);
      if (model.connectedAt !== undefined) Object.assign(model, { client: undefined, connectedAt: undefined });
      return;
    case "wait":
      bench.now = new Date(nowMs + one.seconds * 1000);
      return;
    case "dashboard":
      model.dashboard = one.shows;
      return;
    case "visit":
      // There are no visitors where there is no edge.
      if (bench.isEdgeAway) return;
      model.failedAt = one.failure === undefined ? undefined : nowMs;
      bench.evidence = [{ label, at: bench.now, failure: one.failure }];
      return;
    case "edge":
      bench.isEdgeAway = !bench.isEdgeAway;
  }
}

/** What a look at the dashboard denies. */
async function look(model: Denials): Promise<void> {
  const shown = model.client !== undefined && model.connectedAt !== undefined ? [model.client] : [];
  bench.frps =
    model.dashboard === "everybody" ? showOnDashboard(shown) : model.dashboard === "nobody" ? showOnDashboard([]) : model.dashboard;
  await bench.plugin.reconcile();
  if (model.connectedAt === undefined) return;
  const ageMs = bench.now.getTime() - model.connectedAt;
  // What was answered within the last second need not be on the dashboard yet.
  if ((model.dashboard === "nobody" && ageMs >= 1000) || (model.dashboard === "gone" && ageMs > 0))
    Object.assign(model, { client: undefined, connectedAt: undefined });
}

it("is never connected after the hook or the dashboard said that it is gone, and never routable against what its last visitor met", async () => {
  let labels = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      labels += 1;
      const label = parseLabel(`0x${labels.toString(16).padStart(40, "0")}`) as Label;
      const model = new Denials();
      Object.assign(bench, { evidence: [], isEdgeAway: false, frps: showOnDashboard([]) });
      for (const one of steps) {
        await take(one, label, model);
        await look(model);
        const status = await bench.plugin.readStatus(label);
        const nowMs = bench.now.getTime();
        if (model.connectedAt === undefined) expect(status.status).toBe("disconnected");
        if (status.status !== "connected" || !status.routable) continue;
        expect(status.stale).toBe(false);
        if (model.failedAt !== undefined) expect(nowMs - model.failedAt).toBeGreaterThanOrEqual(60_000);
      }
      // Whoever is there, and whom everything speaks for, is not denied for ever either.
      Object.assign(model, { dashboard: "everybody" });
      bench.isEdgeAway = false;
      if (model.client === undefined) await take({ kind: "login" }, label, model);
      await take({ kind: "register" }, label, model);
      await take({ kind: "visit", failure: undefined }, label, model);
      await look(model);
      if (model.connectedAt !== undefined) expect((await bench.plugin.readStatus(label)).state).toBe("routable");
    }),
    { numRuns: 60 },
  );
});
