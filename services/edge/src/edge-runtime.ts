/**
 * Port: what a running edge lets the door change. Nothing here is durable (the door writes the map files first); every
 * method resolves when new requests see the change. The Node edge implements it in its own process; a client of
 * `edge.sock`, or of HAProxy's runtime sockets, will implement it across processes.
 */
import type { DoorState, Label, LeaveReason, LiveEntry } from "@keyhole/core";

/** A running edge, as `createDoor` drives it. */
export type EdgeRuntime = {
  /** The label is live; for 1.5 s requests that find no route yet are held. */
  put(entry: LiveEntry): Promise<void>;
  /** The label is not live; after `offline` requests are held for 1.5 s, after `ended` they are not. */
  delete(label: Label, leave: { readonly lastSeen: Date; readonly reason: LeaveReason }): Promise<void>;
  /** Replaces live, last-seen and blocked as a whole. */
  replaceAll(state: DoorState): Promise<void>;
  /** The label changes hands: what breaks within 1.5 s is held and sent again. */
  handOver(label: Label): Promise<void>;
  /** 403 from now on, live or not. */
  block(label: Label): Promise<void>;
  unblock(label: Label): Promise<void>;
  /** Destroys both halves of the control connection that frps knows as `clientAddress`. False when there is none. */
  cut(clientAddress: string): Promise<boolean>;
  /** The client's true `ip:port` behind `clientAddress`. */
  sourceOf(clientAddress: string): string | undefined;
};
