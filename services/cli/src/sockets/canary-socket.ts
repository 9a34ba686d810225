/** What the canary has found, on `supervisor.sock`: it flies beside the supervisor, and `/health` is the token service's. */
import type { CanaryReport } from "@keyhole/token";
import type { Hono } from "hono";
import { z } from "zod";
import type { SocketClient } from "./socket-client.ts";

const canaryReport = z.object({
  ok: z.boolean(),
  stage: z.enum(["token", "login", "edge", "answer"]).nullable(),
  lastOkAt: z.iso
    .datetime()
    .transform((text) => new Date(text))
    .nullable(),
  ms: z.number().nullable(),
});

/** Adds the report to what the supervisor's socket serves; `null` when there is none. */
export function serveCanary(app: Hono, report: () => CanaryReport | undefined): void {
  app.get("/canary", (c) => {
    const found = report();
    if (found === undefined) return c.json(null);
    const { ok, stage = null, lastOkAt = null, ms = null } = found;
    return c.json({ ok, stage, lastOkAt, ms });
  });
}

/** Asks for it. Undefined when the supervisor does not answer: then its own check of readiness says so. */
export function createRemoteCanary(supervisor: SocketClient): () => Promise<CanaryReport | undefined> {
  return async () => {
    const answer = await supervisor.call("GET", "/canary", undefined, 500).catch(() => undefined);
    const { data } = canaryReport.safeParse(answer);
    if (data === undefined) return undefined;
    return { ok: data.ok, stage: data.stage ?? undefined, lastOkAt: data.lastOkAt ?? undefined, ms: data.ms ?? undefined };
  };
}
