/**
 * What SQLite says when it fails, as a fault of ours: which file, what was tried, SQLite's code, what to do. SQLite's own
 * messages name columns and files, never values, so nothing secret can come along (invariant 9).
 */
import { Fault } from "@keyhole/core";
import Database from "better-sqlite3";

/** SQLite's extended result code (`SQLITE_IOERR_WRITE`), or undefined for an error that is not SQLite's. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code : undefined;
}

/** The first two words of a code: `SQLITE_IOERR` of `SQLITE_IOERR_WRITE`. */
export function sqliteFamily(error: unknown): string | undefined {
  return sqliteCode(error)?.split("_").slice(0, 2).join("_");
}

const remedies: Readonly<Record<string, string>> = {
  SQLITE_BUSY: "Another program holds the file; close it (a sqlite3 shell, a backup). Service resumes by itself.",
  SQLITE_LOCKED: "Another program holds the file; close it (a sqlite3 shell, a backup). Service resumes by itself.",
  SQLITE_FULL: "Free space on its disk. Service resumes by itself.",
  SQLITE_IOERR: "Look at its disk (dmesg, free space, mount). Service resumes by itself.",
  SQLITE_READONLY: "Make the file and its folder writable for this process. Service resumes by itself.",
  SQLITE_CANTOPEN: "Check that the file exists and that this process may use it and its folder. Service resumes by itself.",
  SQLITE_PERM: "Check that this process may use the file and its folder. Service resumes by itself.",
  SQLITE_CORRUPT: "Stop the services and put a backup in its place: keyhole restore FILE.",
  SQLITE_NOTADB: "Stop the services and put a backup in its place: keyhole restore FILE.",
};

/**
 * `STORE_UNAVAILABLE` for an error of SQLite and for a file that turned out damaged or newer while in use (whoever decides
 * about a login only needs to know that there is no answer); every other error as it is.
 */
export function asUnavailable(path: string, tried: "read" | "written" | "opened", error: unknown): unknown {
  if (error instanceof Fault && error.code !== "STORE_UNAVAILABLE") {
    return new Fault("STORE_UNAVAILABLE", `${path} could not be ${tried}. ${error.message}`, { cause: error });
  }
  const code = sqliteCode(error);
  if (code === undefined) return error;
  const remedy = remedies[sqliteFamily(error) ?? ""] ?? "Restart the service; report it if it stays.";
  const said = error instanceof Error ? error.message : "";
  return new Fault("STORE_UNAVAILABLE", `${path} could not be ${tried} (${code}: ${said}). ${remedy}`, { cause: error });
}

/** `STORE_CORRUPT`: the file is there and is not what it should be. Says what was found and the command that helps. */
export function corruptFault(path: string, found: string, cause?: unknown): Fault {
  return new Fault(
    "STORE_CORRUPT",
    `${path} cannot be used: ${found.replaceAll(/\s+/g, " ")}. Stop the services and put a backup in its place: keyhole restore FILE keeps the file that is there, ` +
      `and carries over what can be read of it (copies made before a migration are called ${path}.before-<number>). ` +
      `Without a backup, save what can be read: sqlite3 '${path}' .recover | sqlite3 '${path}.recovered'`,
    { cause },
  );
}
