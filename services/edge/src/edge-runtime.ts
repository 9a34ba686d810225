/**
 * Port: what a running edge lets the door change. Nothing here is durable (the door writes the map files first); every
 * method resolves when new requests see the change. The Node edge implements it in its own process; a client of
 * `edge.sock`, or of HAProxy's runtime sockets, will implement it across processes.
 */
import type { ControlConnection, DoorState, Label, LeaveReason, LiveEntry } from "@keyhole/core";

/** A running edge, as `createDoor` drives it. */
export type EdgeRuntime = {
  /** The label is live; what began before its hand-over ends; for 1.5 s requests that find no route yet are held. */
  put(entry: LiveEntry): Promise<void>;
  /** The label is not live; after `offline` requests are held for 1.5 s, after `ended` they are not, and its streams end. */
  delete(label: Label, leave: { readonly lastSeen: Date; readonly reason: LeaveReason }): Promise<void>;
  /** Replaces live, last-seen and blocked as a whole; ends what is under way to blocked labels. */
  replaceAll(state: DoorState): Promise<void>;
  /** The label changes hands: what breaks within 1.5 s is held and sent again. */
  handOver(label: Label): Promise<void>;
  /** 403 from now on, live or not; what is under way ends. */
  block(label: Label): Promise<void>;
  unblock(label: Label): Promise<void>;
  /** Destroys both halves of a control connection. False when it is gone already. */
  cut(connectionId: string): Promise<boolean>;
  /** A session was admitted on it; a control connection that nobody claims is ended. */
  claim(connectionId: string): void;
  /** The open control connection that frps knows as `clientAddress`. */
  connectionOf(clientAddress: string): ControlConnection | undefined;
};
