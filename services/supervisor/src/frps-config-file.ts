/**
 * `<stateDir>/frps.toml`, 0600. A config gets there in one way: written beside it, accepted by `frps verify`, renamed. So a
 * rejected config never replaces a working one (invariant 8), and a torn one is never read.
 */
import { createHash } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { diffFrpsConfigs, verifyFrpsConfig } from "@keyhole/frp";

/** Keeps the file at the given text. */
export type FrpsConfigFile = {
  readonly path: string;
  /** The config's identity in the record. */
  readonly hash: string;
  /** To be called before every start. */
  place(): Promise<void>;
  /**
   * In which keys the config of the given hash differs from ours. It is the one on disk (which `place` overwrites), or the
   * answer is that nothing is known. Empty: both mean the same, even if the text is another.
   */
  findDifferences(hash: string): Promise<readonly string[]>;
};

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Makes the file's keeper; nothing is written until `place`. */
export function createFrpsConfigFile(options: { path: string; frpsPath: string; text: string }): FrpsConfigFile {
  const { path, frpsPath, text } = options;
  let wasAccepted = false;
  return {
    path,
    hash: hashOf(text),
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
    async findDifferences(hash) {
      if (hash === hashOf(text)) return [];
      const former = await readFile(path, "utf8").catch(() => undefined);
      const keys = former === undefined || hashOf(former) !== hash ? undefined : diffFrpsConfigs(former, text);
      return keys ?? ["the config (which keys is not known: its file is gone)"];
    },
  };
}
