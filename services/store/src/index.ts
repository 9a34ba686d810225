/**
 * The only SQL: adapters of core's store port (a writer and a reader for each file), and the lock of a state directory.
 */
export { type CopyProgress, copyStore, inspectStore, type StoreFacts } from "./backup.ts";
export type { EventSettings } from "./event-log.ts";
export { type ChainBounds, type EventReader, openEventReader } from "./event-reader.ts";
export { type RestoredSessions, restoreSessions } from "./restore-sessions.ts";
export { type RestoredTokens, restoreTokens } from "./restore-tokens.ts";
export { openSessionReader, openSessionStore } from "./session-store.ts";
export { openStateLock } from "./state-lock.ts";
export { openTokenReader, openTokenStore } from "./token-store.ts";
export type { TimeCommit } from "./writer.ts";
