/**
 * Port: what a running edge lets the door change. It has the door's own shape, without its promise: nothing here is durable
 * (the door writes the map files first), and every method resolves when new requests see the change. The Node edge
 * implements it in its own process; a client of `edge.sock`, or of HAProxy's runtime sockets, will implement it across
 * processes.
 */
import type { Door } from "@keyhole/core";

/** A running edge, as `createDoor` drives it. `put`, `delete` with `ended`, and `block` also end what is under way (README). */
export type EdgeRuntime = Door;
