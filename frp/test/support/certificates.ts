/** A throwaway certificate authority and a certificate of its for one name: X.509 by hand, in the dozen DER forms it takes. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** PEM texts: the authority, and a key pair that it signed. */
export type TestCertificates = { readonly ca: string; readonly cert: string; readonly key: string };

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const size = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
const sequence = (...parts: Buffer[]): Buffer => der(0x30, ...parts);
const octets = (...parts: Buffer[]): Buffer => der(0x04, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const isTrue = der(0x01, Buffer.from([0xff]));
const bits = (body: Buffer): Buffer => der(0x03, Buffer.from([0]), body);
const name = (text: string): Buffer => sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(text)))));
/** GeneralizedTime `YYYYMMDDHHMMSSZ`. */
const time = (date: Date): Buffer => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\..*/g, "")}Z`));
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
const basicConstraints = (isCa: boolean): Buffer => sequence(oid("551d13"), isTrue, octets(sequence(...(isCa ? [isTrue] : []))));
const dnsName = (host: string): Buffer => sequence(oid("551d11"), octets(sequence(der(0x82, Buffer.from(host)))));

function issue(subject: string, publicKey: KeyObject, issuer: string, issuerKey: KeyObject, extensions: Buffer[]): string {
  const now = Date.now();
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(8)),
    ecdsaWithSha256,
    name(issuer),
    sequence(time(new Date(now - 3_600_000)), time(new Date(now + 3_600_000))),
    name(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const certificate = sequence(body, ecdsaWithSha256, bits(sign("sha256", body, issuerKey)));
  const lines = certificate.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Makes them, for a DNS name. */
export function makeCertificates(host: string): TestCertificates {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = "test authority";
  return {
    ca: issue(issuer, authority.publicKey, issuer, authority.privateKey, [basicConstraints(true)]),
    cert: issue(host, server.publicKey, issuer, authority.privateKey, [basicConstraints(false), dnsName(host)]),
    key: server.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
