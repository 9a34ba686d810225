/**
 * `<stateDir>/frps.toml`, 0600. A config gets there in one way: written beside it, accepted by `frps verify`, renamed. So a
 * rejected config never replaces a working one (invariant 8), and a torn one is never read.
 */
import { createHash } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { verifyFrpsConfig } from "@keyhole/frp";

/** Keeps the file at the given text. `place` is called before every start; `hash` is the config's identity in the record. */
export type FrpsConfigFile = { readonly path: string; readonly hash: string; place(): Promise<void> };

/** Makes the file's keeper; nothing is written until `place`. */
export function createFrpsConfigFile(options: { path: string; frpsPath: string; text: string }): FrpsConfigFile {
  const { path, frpsPath, text } = options;
  let wasAccepted = false;
  return {
    path,
    hash: createHash("sha256").update(text).digest("hex"),
    async place() {
      // The same bytes, accepted by this frps before: nothing to write, so a full disk cannot keep frps from coming back.
      if (wasAccepted && (await readFile(path, "utf8").catch(() => undefined)) === text) return;
      const next = `${path}.new`;
      await rm(next, { force: true });
      await writeFile(next, text, { mode: 0o600, flag: "wx" });
      try {
        await verifyFrpsConfig(frpsPath, next);
        await rename(next, path);
      } catch (error) {
        await rm(next, { force: true });
        throw error;
      }
      wasAccepted = true;
    },
  };
}
