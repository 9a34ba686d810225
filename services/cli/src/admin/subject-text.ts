/** Whom an order is about, as people write it: an address, a label, a network; and what they paste from a browser. */
import {
  type BlockSubject,
  deriveLabel,
  grant,
  identityOfLabel,
  type Label,
  parseHost,
  parseIdentity,
  parseLabel,
  parseNetwork,
  printIdentity,
  refuse,
  type Verdict,
} from "@keyhole/core";

/** A wallet as an address or as a label. */
export function parseWallet(text: string): Verdict<Label> {
  const label = parseLabel(text);
  if (label !== undefined) return grant(label);
  const identity = parseIdentity(text);
  return identity.granted ? grant(deriveLabel(identity.value)) : identity;
}

/** What can be blocked: a network where the text has the form of one, a wallet otherwise. */
export function parseSubject(text: string): Verdict<BlockSubject> {
  const network = parseNetwork(text);
  if (network !== undefined) return grant(network);
  // Only who meant a wallet is told what is wrong with it.
  return /^(?:0x|[gmc][a-z2-7]{20})/i.test(text) ? parseWallet(text) : refuse("SUBJECT_MALFORMED");
}

/** As `parseWallet`, and the public URL or host of a tunnel too. */
export function parsePastedWallet(text: string, domain: string): Verdict<Label> {
  const host = /^(?:https?:\/\/)?([^/?#@\s]+\.[^/?#@\s]+)(?:[/?#].*)?$/i.exec(text.trim())?.[1];
  if (host === undefined) return parseWallet(text.trim());
  const named = parseHost(host, { domain });
  if (named.kind === "tunnel") return grant(named.label);
  return refuse("UNKNOWN_HOST");
}

/** As `parseSubject`, and the public URL or host of a tunnel too. */
export function parsePastedSubject(text: string, domain: string): Verdict<BlockSubject> {
  const subject = parseSubject(text.trim());
  // A name has letters beyond hexadecimal digits before a dot; what else is no subject was meant as a network.
  const isName = /[g-z][^:]*\.|\/\//i.test(text);
  return subject.granted || !isName ? subject : parsePastedWallet(text, domain);
}

/** A subject as it is told: a wallet as its ecosystem writes it. */
export function printSubject(subject: BlockSubject): string {
  const label = parseLabel(subject);
  return label === undefined ? subject : printIdentity(identityOfLabel(label));
}
