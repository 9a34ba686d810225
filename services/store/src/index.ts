/**
 * The only SQL: adapters of core's store port (a writer and a reader for each file), and the lock of a state directory.
 */
export type { EventSettings } from "./event-log.ts";
export { type ChainBounds, type EventReader, openEventReader } from "./event-reader.ts";
export { openSessionReader, openSessionStore } from "./session-store.ts";
export { openStateLock } from "./state-lock.ts";
export { openTokenReader, openTokenStore } from "./token-store.ts";
export type { TimeCommit } from "./writer.ts";
