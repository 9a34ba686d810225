/**
 * A name for a session that outlives the plugin's process: derived from its ticket, and no part of that secret. The edge
 * remembers it with the connection (`Door.claim`), and a session that only the process before this one knew is found by it.
 */
import { hash } from "node:crypto";

/** The id of a session whose own id only the process before this one knew; 40 characters. */
export const adoptedId = (ticket: string): string => `adopted-${hash("sha256", ticket).slice(0, 32)}`;
