/**
 * Finds the one credential of a Login, in the one place where it may be (DESIGN.md §5), and checks who made it. Whether
 * it is still good is `decideAdmission`'s to say.
 */
import { type CredentialKind, grant, type Label, type ReadKeyRing, readTunnelToken, refuse, type Verdict } from "@keyhole/core";
import { deriveLoginKey, type LoginContent } from "@keyhole/frp";

/** A credential whose maker is known: whose it is, of what kind, and when it was issued. */
export type Credential = { readonly label: Label; readonly kind: CredentialKind; readonly issuedAt: Date };

/** Where a credential can come in a Login, besides frp's own key. */
const places = ["token", "auth_claim", "jwt"] as const;

/**
 * Reads the credential of a Login. Refuses with `CREDENTIAL_IN_AUTH_TOKEN` (frps's own key is not the one of an empty
 * token: with it frpc would print "login success" for ever), `CREDENTIAL_MISSING`, `CREDENTIAL_TWICE`, `TOKEN_MALFORMED`,
 * `TOKEN_INVALID` or `USER_MISMATCH`. The cheap checks come first. Never throws.
 */
export function readCredential(login: LoginContent, tokenKeys: ReadKeyRing): Verdict<Credential> {
  if (login.privilegeKey !== deriveLoginKey("", login.timestamp)) return refuse("CREDENTIAL_IN_AUTH_TOKEN");
  const present = places.filter((place) => (login.metas[place] ?? "") !== "");
  if (present.length > 1) return refuse("CREDENTIAL_TWICE");
  const text = login.metas["token"] ?? "";
  if (text === "") return refuse("CREDENTIAL_MISSING");
  const token = readTunnelToken(text, tokenKeys());
  if (!token.granted) return token;
  const { label, issuedAt } = token.value;
  if (login.user !== "" && login.user.toLowerCase() !== label) return refuse("USER_MISMATCH");
  return grant({ label, kind: "hmac", issuedAt });
}
