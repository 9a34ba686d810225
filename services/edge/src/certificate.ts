/**
 * A certificate and its key, read from two files and read again when they change. A new pair takes over only when it is
 * whole, belongs together and has not expired; until then the working one stays (invariant 8), and the reason is logged
 * once per version of the files. Watched twice: `fs.watch` for speed, a poll because watches are lost on renames and mounts.
 */
import { X509Certificate } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { createSecureContext } from "node:tls";
import { Fault } from "@keyhole/core";
import type { Log } from "./log.ts";

export type CertificatePair = { readonly cert: Buffer; readonly key: Buffer };

export type WatchedCertificate = {
  current(): CertificatePair;
  [Symbol.dispose](): void;
};

const pollMs = 2000;
/** Cert and key are two files: a moment lets a tool write both before they are compared. */
const settleMs = 100;

export async function openCertificate(options: {
  readonly certFile: string;
  readonly keyFile: string;
  readonly onChange: (pair: CertificatePair) => void;
  readonly now: () => Date;
  readonly log: Log;
}): Promise<WatchedCertificate> {
  const { certFile, keyFile, now, log } = options;
  let signature = await readSignature(certFile, keyFile);
  let pair: CertificatePair;
  try {
    pair = await readPair(certFile, keyFile);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Fault(
      "CERTIFICATE_UNREADABLE",
      `The certificate ${certFile} with the key ${keyFile} cannot be used: ${reason}. Give two PEM files that belong together.`,
      { cause },
    );
  }
  if (hasExpired(pair, now())) log.warn({ certFile }, "the certificate has expired; clients will refuse it");

  let closed = false;
  let checking = false;
  const check = async (): Promise<void> => {
    if (closed || checking) return;
    checking = true;
    try {
      const seen = await readSignature(certFile, keyFile);
      if (seen === signature) return;
      // Remembered before the attempt: a bad pair is tried, and logged, once.
      signature = seen;
      const next = await readPair(certFile, keyFile);
      if (closed || (next.cert.equals(pair.cert) && next.key.equals(pair.key))) return;
      if (hasExpired(next, now())) throw new Error("the new certificate has expired");
      options.onChange(next);
      pair = next;
      log.info({ certFile, validTo: new X509Certificate(next.cert).validTo }, "the new certificate is in use");
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ certFile, keyFile, reason }, "the new certificate is not usable; the old one stays in use");
    } finally {
      checking = false;
    }
  };

  let settling: NodeJS.Timeout | undefined;
  const soon = (): void => {
    clearTimeout(settling);
    settling = setTimeout(check, settleMs).unref();
  };
  const poll = setInterval(check, pollMs).unref();
  const names = new Set([basename(certFile), basename(keyFile)]);
  const watchers = watchFolders(new Set([dirname(certFile), dirname(keyFile)]), (name) => {
    // The folder may be a busy one; other files are not our business.
    if (name === null || names.has(name)) soon();
  });
  return {
    current: () => pair,
    [Symbol.dispose]() {
      closed = true;
      clearTimeout(settling);
      clearInterval(poll);
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** Folders, not files: a file that is replaced by a rename is another file, and its watch stays with the old one. */
function watchFolders(folders: ReadonlySet<string>, onEvent: (name: string | null) => void): FSWatcher[] {
  const watchers: FSWatcher[] = [];
  for (const folder of folders) {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => onEvent(name));
      watcher.on("error", () => watcher.close());
      watchers.push(watcher);
    } catch {
      // No watch to be had (inotify limit, odd file system): the poll finds the change.
    }
  }
  return watchers;
}

async function readPair(certFile: string, keyFile: string): Promise<CertificatePair> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  // Throws when either is no PEM, and when the key is not the certificate's.
  createSecureContext({ cert, key });
  return { cert, key };
}

async function readSignature(...files: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    files.map((file) =>
      stat(file).then(
        (found) => `${found.ino}:${found.size}:${found.mtimeMs}`,
        () => "absent",
      ),
    ),
  );
  return parts.join(" ");
}

function hasExpired(pair: CertificatePair, now: Date): boolean {
  return new X509Certificate(pair.cert).validToDate.getTime() < now.getTime();
}
