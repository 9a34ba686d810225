/** Every kind of credential, as rows spell it. Whoever adds one to core is told by the compiler to add it here. */
import type { CredentialKind } from "@keyhole/core";

export const kinds: Readonly<Record<CredentialKind, true>> = { hmac: true, jwt: true, claim: true, "stellar-jwt": true };
