/**
 * The forms in which a secret may have got into a log: as it is, in another alphabet, inside something that was encoded as
 * a whole, or cut off. What a form is searched by is its beginning and its end, because a line that was cut has only one.
 */

/** How a form came to be, for the report, and the text to look for. */
export type SecretForm = { readonly how: string; readonly text: string };

/** A secret that is shorter would be found where it is not. */
export const shortestSecret = 12;
/** So much of a long form is enough: nobody writes it by accident. */
const enough = 24;

/** Every form of a secret, none of them shorter than `shortestSecret`. */
export function deriveSecretForms(secret: string): readonly SecretForm[] {
  const forms: SecretForm[] = [
    { how: "as it is", text: secret },
    { how: "in lower case", text: secret.toLowerCase() },
    { how: "as JSON", text: asJson(secret) },
    { how: "as JSON in JSON", text: asJson(asJson(secret)) },
    { how: "URL-encoded", text: encodeURIComponent(secret) },
    ...encode(Buffer.from(secret)),
  ];
  const bytes = bytesOf(secret);
  if (bytes !== undefined) {
    forms.push(
      ...encode(bytes),
      { how: "its bytes as a list", text: bytes.join(",") },
      { how: "its bytes as an object", text: Array.from(bytes, (byte, at) => `"${at}":${byte}`).join(",") },
    );
  }
  const distinct = new Map<string, SecretForm>();
  for (const { how, text } of forms) {
    for (const part of text.length > 2 * enough ? [text.slice(0, enough), text.slice(-enough)] : [text]) {
      if (part.length >= shortestSecret && !distinct.has(part)) distinct.set(part, { how, text: part });
    }
  }
  return [...distinct.values()];
}

const asJson = (text: string): string => JSON.stringify(text).slice(1, -1);

/** As hexadecimal digits, and as base64 wherever in the encoded text it begins. */
function encode(bytes: Buffer): readonly SecretForm[] {
  const hex = bytes.toString("hex");
  const forms: SecretForm[] = [
    { how: "as hexadecimal digits", text: hex },
    { how: "as hexadecimal digits", text: hex.toUpperCase() },
  ];
  for (const before of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    // The digits that hold no bit of a neighbour.
    const text = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    forms.push(
      { how: "as base64", text },
      { how: "as base64", text: text.replaceAll("/", "\\/") },
      { how: "as base64url", text: text.replaceAll("+", "-").replaceAll("/", "_") },
      { how: "as base64, URL-encoded", text: encodeURIComponent(text) },
    );
  }
  return forms;
}

/** What a secret that is itself written in an alphabet stands for; undefined when it is a text. */
function bytesOf(secret: string): Buffer | undefined {
  const digits = secret.replace(/^0x/, "");
  if (/^(?:[0-9a-f]{2}){16,}$/i.test(digits)) return Buffer.from(digits, "hex");
  return /^[A-Za-z0-9_+/-]{42,}={0,2}$/.test(secret) ? Buffer.from(secret, "base64") : undefined;
}
