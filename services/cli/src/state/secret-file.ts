/** Secrets that an operator hands over: a file, or a credential of systemd (`credential:NAME`, from `LoadCredential=` of the unit). */
import { join } from "node:path";
import { Fault } from "@keyhole/core";
import { readPrivateFile } from "./private-file.ts";

/** The form of a setting that names a credential instead of a path. */
export const credentialForm = /^credential:([A-Za-z0-9_.@-]{1,255})$/;

/** Reads what a `…File` setting names; line ends after it do not count. Throws `Fault("KEYS_UNREADABLE")`. */
export function readSecretFile(setting: string, env: Readonly<Record<string, string | undefined>>): string {
  const path = locate(setting, env);
  const text = readPrivateFile(path)
    ?.toString("utf8")
    .replace(/[\r\n]+$/, "");
  if (text === undefined)
    throw new Fault("KEYS_UNREADABLE", `${path} is not there; put the secret there, or mend the setting that names it.`);
  if (text === "") throw new Fault("KEYS_UNREADABLE", `${path} is empty; put the secret there.`);
  return text;
}

function locate(setting: string, env: Readonly<Record<string, string | undefined>>): string {
  const name = credentialForm.exec(setting)?.[1];
  if (name === undefined) return setting;
  const dir = env["CREDENTIALS_DIRECTORY"];
  if (dir !== undefined && dir !== "" && !/^\.+$/.test(name)) return join(dir, name);
  throw new Fault(
    "KEYS_UNREADABLE",
    `${setting} is a credential of systemd, and none were handed over; give the unit LoadCredential=${name}:/path, or set a path.`,
  );
}
