/** What tests of a restore share: files in a folder, a copy of one of them, and the order to make the restored one of it. */
import type { EventRecord } from "@keyhole/core";
import { copyStore, inspectStore, openEventReader, openSessionStore, openTokenStore } from "../src/index.ts";
import { at } from "./signed-orders.ts";
import { type openTemporaryFolder, silentLog } from "./temporary-folder.ts";

export type Folder = ReturnType<typeof openTemporaryFolder>;

export const openTokens = (folder: Folder, name = "tokens.db") => openTokenStore({ path: folder.file(name), log: silentLog });
export const openSessions = (folder: Folder, name = "sessions.db") => openSessionStore({ path: folder.file(name), log: silentLog });

/** The second of the restore, after everything that the tests do. */
export const restoredAt = 10_000;

export function orderFor(folder: Folder, writer: "tokens" | "sessions") {
  const path = folder.file(`restored-${writer}.db`);
  const backup = { takenAt: at(0), head: inspectStore({ path, writer }).head };
  return { path, formerPath: folder.file(`${writer}.db`), backup, now: at(restoredAt), signer: undefined, log: silentLog };
}

export const backUp = (folder: Folder, writer: "tokens" | "sessions") =>
  copyStore({ path: folder.file(`${writer}.db`), writer, to: folder.file(`restored-${writer}.db`) });

/** With what it tells. */
export async function lastEvent(path: string, writer: "tokens" | "sessions"): Promise<EventRecord | undefined> {
  await using reader = openEventReader({ path, writer });
  return (await reader.after(0, 1000)).at(-1);
}
