/**
 * Chooses between the two forms of a token answer by the `Accept` header (RFC 9110 §12.5.1). JSON is the default and wins
 * every tie; TOML is answered when the caller prefers it by name. A header that names neither gets JSON and no 406: a
 * proof that was signed for nothing costs a wallet prompt.
 */

/** The two forms of a token answer. */
export type Media = "json" | "toml";

const weight = /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/;

/** What a header says of one type: how much it is wanted, and whether by name. */
type Wish = { readonly quality: number; readonly specificity: number };

/** Reads an `Accept` header. Total: what cannot be read is passed over. */
export function chooseMedia(accept: string | undefined): Media {
  if (accept === undefined) return "json";
  const ranges = accept.split(",").flatMap(parseRange);
  const json = wishFor("application/json", ranges);
  const toml = wishFor("application/toml", ranges);
  if (toml.quality > json.quality) return "toml";
  return toml.quality > 0 && toml.quality === json.quality && toml.specificity > json.specificity ? "toml" : "json";
}

function parseRange(text: string): { type: string; quality: number }[] {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  if (type === "") return [];
  const q = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  if (q === undefined) return [{ type, quality: 1 }];
  return weight.test(q) ? [{ type, quality: Number(q) }] : [];
}

/** The most specific range that matches decides, as the RFC says. */
function wishFor(media: string, ranges: readonly { type: string; quality: number }[]): Wish {
  const patterns = ["*/*", "application/*", media];
  let wish: Wish = { quality: 0, specificity: -1 };
  for (const range of ranges) {
    const specificity = patterns.indexOf(range.type);
    if (specificity > wish.specificity) wish = { quality: range.quality, specificity };
  }
  return wish;
}
