/** Makes a certificate authority, and a certificate of it: ECDSA P-256, PEM text in and out. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

/** A certificate and its private key (PKCS #8), both PEM. */
export type PemPair = { readonly pem: string; readonly key: string };

const dayMs = 86_400_000;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

x509.cryptoProvider.set(webcrypto as never);

/** Makes an authority that lives ten years. */
export async function makeAuthority(now: Date): Promise<PemPair> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerialNumber(),
    name: "CN=Keyhole control CA",
    notBefore: new Date(now.getTime() - dayMs),
    notAfter: new Date(now.getTime() + 3650 * dayMs),
    signingAlgorithm: algorithm,
    keys: keys as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as never),
    ],
  });
  return { pem: printCertificate(certificate), key: await printKey(keys.privateKey) };
}

/** Makes the certificate of a host name or an IP address; it lives 397 days. */
export async function makeCertificate(order: { readonly authority: PemPair; readonly host: string; readonly now: Date }): Promise<PemPair> {
  const { authority, host, now } = order;
  const [der] = x509.PemConverter.decode(authority.key);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der as ArrayBuffer, algorithm, false, ["sign"]);
  const issuer = new x509.X509Certificate(authority.pem);
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: makeSerialNumber(),
    subject: "CN=Keyhole control",
    issuer: issuer.subject,
    notBefore: new Date(now.getTime() - dayMs),
    notAfter: new Date(now.getTime() + 397 * dayMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey as never,
    signingKey: signingKey as never,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: isIP(host) === 0 ? "dns" : "ip", value: host }]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { pem: printCertificate(certificate), key: await printKey(keys.privateKey) };
}

const makeKeys = async (): Promise<webcrypto.CryptoKeyPair> =>
  (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;

/** Positive and never of zero length: the first byte is neither 0 nor above 0x7f (RFC 5280 §4.1.2.2). */
const makeSerialNumber = (): string => `4b${Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString("hex")}`;

const printCertificate = (certificate: x509.X509Certificate): string => `${certificate.toString("pem").trim()}\n`;

async function printKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}
