/**
 * `plugin.sock`: what the plugin knows of a label, and the word that a revocation is committed; both are the token
 * service's. When the plugin is away, what the store says and who was asked last stand in, and the answer says that it is
 * stale (DESIGN.md §4); a revocation is then enforced when it is back.
 */
import {
  type CredentialKind,
  disconnectedReasons,
  parseLabel,
  type ReadTunnelStatus,
  readRecordedStatus,
  type SessionReader,
  type TunnelStatus,
  unroutableReasons,
} from "@keyhole/core";
import type { Hono } from "hono";
import { z } from "zod";
import type { SocketClient } from "./socket-client.ts";

const instant = z.iso.datetime().transform((text) => new Date(text));
const tunnelStatus = z.discriminatedUnion("status", [
  z.object({
    status: z.literal("connected"),
    state: z.enum(["connected", "routable"]),
    connectedSince: instant,
    routable: z.boolean(),
    reason: z.enum(unroutableReasons).nullable(),
    asOf: instant,
    stale: z.boolean(),
  }),
  z.object({
    status: z.literal("disconnected"),
    state: z.enum(["offline", "admitted", "handing-over", "closing"]),
    lastSeen: instant.nullable(),
    reason: z.enum(disconnectedReasons),
    asOf: instant,
    stale: z.boolean(),
  }),
]);

/** Adds the look-up of a label to what the plugin's socket serves. */
export function serveTunnelStatus(app: Hono, readStatus: ReadTunnelStatus): void {
  app.get("/tunnels/:label", async (c) => {
    const label = parseLabel(c.req.param("label"));
    if (label === undefined) return c.json({ code: "LABEL_MALFORMED" }, 400);
    const status = await readStatus(label);
    return c.json({ ...status, reason: status.reason ?? null });
  });
}

/** Adds the word that revocations are committed. It is answered when the edge refuses new requests of those labels. */
export function serveRevocations(app: Hono, enforceRevocations: () => Promise<void>): void {
  app.post("/revocations", async (c) => {
    await enforceRevocations();
    return c.json({});
  });
}

const endOrder = z.object({ kinds: z.array(z.enum(["hmac", "jwt"])).min(1) });

/** What ending sessions is answered with. */
export const endedSessions = z.object({ ended: z.int() });

/** Adds the order that every session of these kinds logs in again: what let it in is no longer trusted as it was. */
export function serveSessionEnds(app: Hono, endSessionsOf: (kinds: readonly CredentialKind[]) => Promise<number>): void {
  app.post("/sessions/end", async (c) => {
    const order = endOrder.safeParse(await c.req.json().catch(() => undefined));
    return order.success ? c.json({ ended: await endSessionsOf(order.data.kinds) }) : c.json({ code: "ORDER_MALFORMED" }, 400);
  });
}

/** What becomes of a revocation that is recorded: `pending` means that the plugin will enforce it when it can. */
export type TellRevoked = () => Promise<"enforced" | "pending">;

/** How long whoever revokes waits for the plugin and the edge. */
export const enforceTimeoutMs = 1000;

/**
 * Tells the plugin. One call enforces all that was committed before it, so those who come while one is under way share the
 * next. Never rejects.
 */
export function createTellRevoked(enforce: () => Promise<unknown>): TellRevoked {
  let running: Promise<"enforced" | "pending"> | undefined;
  let next: Promise<"enforced" | "pending"> | undefined;

  function start(): Promise<"enforced" | "pending"> {
    running = enforce()
      .then(
        () => "enforced" as const,
        () => "pending" as const,
      )
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  return () => {
    if (running === undefined) return start();
    next ??= running.then(() => {
      next = undefined;
      return start();
    });
    return next;
  };
}

/** Gives up waiting after a second; the work goes on. */
export async function withinEnforceTimeout(work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("not enforced in time")), enforceTimeoutMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks the plugin; falls back on `sessions`, the plugin's own file. */
export function createRemoteTunnelStatus(options: {
  readonly plugin: SocketClient;
  readonly sessions: SessionReader;
  readonly now: () => Date;
}): ReadTunnelStatus {
  const { plugin, sessions, now } = options;
  /** When the plugin last answered. */
  let heardAt: Date | undefined;

  return async (label) => {
    const asked = now();
    const answer = await plugin.call("GET", `/tunnels/${label}`).catch(() => undefined);
    const status = tunnelStatus.safeParse(answer);
    if (!status.success) return await readRecordedStatus(sessions, label, { heardAt, now: asked });
    heardAt = asked;
    const { data } = status;
    return data.status === "connected" ? ({ ...data, reason: data.reason ?? undefined } satisfies TunnelStatus) : data;
  };
}
