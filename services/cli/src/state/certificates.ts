/**
 * The control certificate: what frpc checks when it connects. A CA of our own (10 years) and an ECDSA P-256 certificate
 * for the control host (made again at a start when it is for another host, or ends within 60 days). Clients get the CA
 * with their token, so nothing has to be installed anywhere.
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";
import type { StateDirectory } from "./state-directory.ts";

/** Where the files are, and the CA as text. */
export type ControlCertificate = { readonly caPem: string; readonly certFile: string; readonly keyFile: string };

const dayMs = 86_400_000;

/** Opens the certificate of the control host, making what is missing. The edge does, where the parts run apart. */
export async function openControlCertificate(options: {
  readonly state: StateDirectory;
  readonly host: string;
  readonly now: () => Date;
}): Promise<ControlCertificate> {
  const { state, host, now } = options;
  const dir = state.folder("control");
  const [caFile, caKeyFile, certFile, keyFile] = ["ca.pem", "ca.key", "control.pem", "control.key"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
  ];
  const ca = { pem: readPrivateFile(caFile)?.toString(), key: readPrivateFile(caKeyFile)?.toString() };
  const current = ca.pem !== undefined && isCurrent(readPrivateFile(certFile), readPrivateFile(keyFile), ca.pem, host, now());
  if (ca.pem !== undefined && ca.key !== undefined && current) return { caPem: ca.pem, certFile, keyFile };

  // Only needed at the first start and once a year: it takes a while to load.
  const { makeAuthority, makeCertificate } = await import("./make-certificates.ts");
  const authority = ca.pem !== undefined && ca.key !== undefined ? { pem: ca.pem, key: ca.key } : await makeAuthority(now());
  if (authority.pem !== ca.pem) {
    writePrivateFile(caKeyFile, authority.key);
    writePrivateFile(caFile, authority.pem, state.fileMode);
  }
  const made = await makeCertificate({ authority, host, now: now() });
  writePrivateFile(keyFile, made.key);
  writePrivateFile(certFile, made.pem);
  return { caPem: authority.pem, certFile, keyFile };
}

/**
 * Reads the CA that the edge has made. Undefined until then, or until the file can be read again: what was read last is
 * given meanwhile.
 */
export function createReadControlCa(state: StateDirectory): () => string | undefined {
  const file = join(state.path, "control", "ca.pem");
  let last: string | undefined;
  return () => {
    try {
      last = readPrivateFile(file)?.toString() ?? last;
    } catch {
      // Its owner will say what is wrong with it.
    }
    return last;
  };
}

/** True when this certificate is of this CA, for this host and this key, and lives 60 more days. */
function isCurrent(pem: Buffer | undefined, key: Buffer | undefined, caPem: string, host: string, now: Date): boolean {
  if (pem === undefined || key === undefined) return false;
  try {
    const certificate = new X509Certificate(pem);
    const isForHost = isIP(host) === 0 ? certificate.checkHost(host) !== undefined : certificate.checkIP(host) !== undefined;
    const isOfKey = certificate.publicKey.equals(createPublicKey(key));
    return (
      isForHost &&
      isOfKey &&
      certificate.checkIssued(new X509Certificate(caPem)) &&
      certificate.verify(createPublicKey(caPem)) &&
      new Date(certificate.validTo).getTime() - now.getTime() > 60 * dayMs
    );
  } catch {
    return false;
  }
}
