/**
 * Mints the tunnel token in its JWT form. What it says is core's to decide (`deriveTunnelJwtClaims`); the signature is
 * jose's: Ed25519 over the compact serialisation (RFC 8037 §3.1).
 */
import { deriveTunnelJwtClaims, publicKeyOfSeed, type TokenRecord, tunnelJwtType } from "@keyhole/core";
import { importJWK, SignJWT } from "jose";

/**
 * Mints the JWT of a recorded token, signed with the Ed25519 key of this seed (32 bytes) and naming it as `kid`. The same
 * record, key and domain give the same JWT, byte by byte.
 */
export async function mintTunnelJwt(
  token: TokenRecord,
  key: { readonly id: string; readonly seed: Uint8Array },
  domain: string,
): Promise<string> {
  const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
  const jwk = { kty: "OKP", crv: "Ed25519", d: encode(key.seed), x: encode(publicKeyOfSeed(key.seed)) };
  return new SignJWT({ ...deriveTunnelJwtClaims(token, domain) })
    .setProtectedHeader({ alg: "EdDSA", typ: tunnelJwtType, kid: key.id })
    .sign(await importJWK(jwk, "EdDSA"));
}
