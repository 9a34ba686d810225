/**
 * The control certificate: what frpc checks when it connects. A CA of our own (10 years) and an ECDSA P-256 certificate
 * for the control host (made again at a start when it is for another host, or ends within 60 days). Clients get the CA
 * with their token, so nothing has to be installed anywhere.
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { makePrivateDirectory, readPrivateFile, writePrivateFile } from "./private-file.ts";

/** Where the files are, and the CA as text. */
export type ControlCertificate = { readonly caPem: string; readonly certFile: string; readonly keyFile: string };

const dayMs = 86_400_000;

/** Opens the certificate of the control host, making what is missing. */
export async function openControlCertificate(options: {
  readonly dir: string;
  readonly host: string;
  readonly now: () => Date;
}): Promise<ControlCertificate> {
  const { dir, host, now } = options;
  makePrivateDirectory(dir);
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
    writePrivateFile(caFile, authority.pem, 0o640);
  }
  const made = await makeCertificate({ authority, host, now: now() });
  writePrivateFile(keyFile, made.key);
  writePrivateFile(certFile, made.pem);
  return { caPem: authority.pem, certFile, keyFile };
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
