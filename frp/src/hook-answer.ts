/**
 * The only way an answer to frps is made. frps is easily hurt by its hook: `content: null` kills it, an empty reason is a
 * success to frpc, an answer without `unchange` blanks the message (a blank NewProxy opens a random TCP port), and a
 * reason of several lines forges lines in frpc's log. None of these can be expressed here (invariant 4).
 */
import { isRecord } from "./hook-fields.ts";

/** A decision: no, with a reason; yes, as you asked; or yes, with this whole content instead. */
export type HookAnswer =
  | { readonly kind: "refuse"; readonly reason: string }
  | { readonly kind: "keep" }
  | { readonly kind: "replace"; readonly content: Record<string, unknown> };

const maxReason = 200;

/**
 * The body of the answer, for status 200. `content` must be the whole message as received with what changes in it: a
 * field that is left out is blanked. A reason becomes one line of at most 200 printable ASCII characters. Never throws.
 */
export function renderHookAnswer(answer: HookAnswer): Buffer {
  return Buffer.from(JSON.stringify(deriveAnswer(answer)));
}

function deriveAnswer(answer: HookAnswer): object {
  switch (answer.kind) {
    case "keep":
      return { reject: false, unchange: true };
    case "replace":
      // Only a caller that cheats on the types gets here with no content; frps would pay for it.
      if (isRecord(answer.content) && Object.keys(answer.content).length > 0) {
        return { reject: false, unchange: false, content: answer.content };
      }
      return refusal("INTERNAL_ERROR: the answer had no content. Try again in a moment.");
    default:
      return refusal(answer.reason);
  }
}

function refusal(reason: string): object {
  const line = String(reason ?? "")
    .replace(/\s+/g, " ")
    .replace(/[^\x20-\x7e]/gu, "?")
    .trim()
    .slice(0, maxReason)
    .trim();
  return { reject: true, reject_reason: line === "" ? "INTERNAL_ERROR: no reason was given. Try again in a moment." : line };
}
