/**
 * Port: what a running edge lets the door change. It has the door's own shape, without its promise: nothing here is durable
 * (the door writes the map files first), and every method resolves when new requests see the change. Calls take effect in
 * the order in which they were made. The Node edge implements it in its own process. Across processes (`edge.sock`,
 * HAProxy's runtime sockets) a method throws `Fault("EDGE_UNREACHABLE")` while the edge is away, with a `cause.code` of
 * ECONNREFUSED or ENOENT when it is known that no edge is there: then nobody serves, and the next one reads the files.
 */
import type { Door } from "@keyhole/core";

/** A running edge, as `createDoor` drives it. `put`, `delete` with `ended`, `block` and `blockNetwork` also end what is under way (README). */
export type EdgeRuntime = Door;
