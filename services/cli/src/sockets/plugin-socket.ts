/**
 * `plugin.sock`: what the plugin knows of a label, asked by the token service. When the plugin is away, what the store says
 * and who was asked last stand in, and the answer says that it is stale (DESIGN.md §4).
 */
import { type Label, parseLabel, type ReadTunnelStatus, type SessionReader, type TunnelStatus } from "@keyhole/core";
import type { Hono } from "hono";
import { z } from "zod";
import type { SocketClient } from "./socket-client.ts";

const instant = z.iso.datetime().transform((text) => new Date(text));
const tunnelStatus = z.discriminatedUnion("status", [
  z.object({ status: z.literal("connected"), connectedSince: instant, routable: z.boolean(), asOf: instant, stale: z.boolean() }),
  z.object({ status: z.literal("disconnected"), lastSeen: instant.nullable(), asOf: instant, stale: z.boolean() }),
]);

/** Adds the look-up of a label to what the plugin's socket serves. */
export function serveTunnelStatus(app: Hono, readStatus: ReadTunnelStatus): void {
  app.get("/tunnels/:label", async (c) => {
    const label = parseLabel(c.req.param("label"));
    return label === undefined ? c.json({ code: "LABEL_MALFORMED" }, 400) : c.json(await readStatus(label));
  });
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

  async function readLastKnown(label: Label): Promise<TunnelStatus> {
    const newest = await sessions.findSession(label, await sessions.highestGeneration(label));
    const asOf = heardAt ?? newest?.closedAt ?? newest?.connectedAt ?? newest?.admittedAt ?? now();
    if (newest?.connectedAt !== undefined && newest.closedAt === undefined)
      return { status: "connected", connectedSince: newest.connectedAt, routable: false, asOf, stale: true };
    return { status: "disconnected", lastSeen: (await sessions.lastSeen(label)) ?? null, asOf, stale: true };
  }

  return async (label) => {
    const asked = now();
    const answer = await plugin.call("GET", `/tunnels/${label}`).catch(() => undefined);
    const status = tunnelStatus.safeParse(answer);
    if (!status.success) return await readLastKnown(label);
    heardAt = asked;
    return status.data;
  };
}
