/**
 * What an answer may look like, from the promises alone (RFC 9457 and the catalogue of refusals; frp's hook protocol):
 * whatever was asked, everything else is a finding.
 */
import { type RefusalCode, refusals } from "@keyhole/core";
import { strictObject } from "./strict-forms.ts";
import { broken, type Outcome } from "./surface.ts";

/** An answer over HTTP. Names of headers are lower case. */
export type HttpAnswer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly text: string };

const known: Readonly<Record<string, { readonly status: number; readonly voices: readonly string[] }>> = refusals;
const isKnown = (code: unknown): code is RefusalCode => typeof code === "string" && Object.hasOwn(known, code);
const shown = (text: string): string => JSON.stringify(text.slice(0, 300));

/** A refusal over HTTP: a problem document with a code of the catalogue and its status. Never a fault of ours. */
export function judgeProblem(answer: HttpAnswer): Outcome {
  const document = strictObject(answer.text);
  const wrong = (what: string): Outcome =>
    broken(String(document?.["code"] ?? answer.status), "answer", `${what}: ${answer.status} ${shown(answer.text)}`);
  if (document === undefined) return wrong("the answer is no problem document");
  const { code, status, type, title, detail, instance, error, remedy, requestId } = document;
  if (!isKnown(code)) return wrong("the code is not in the catalogue");
  if (known[code]?.status !== answer.status || status !== answer.status) return wrong("the status is not the one of the code");
  for (const text of [type, title, detail, instance, error, remedy, requestId]) {
    if (typeof text !== "string" || text === "") return wrong("a member of the problem document is missing");
  }
  if (title === "Error") return wrong("the title is not the one of the status");
  if (answer.headers["content-type"] !== undefined && answer.headers["content-type"] !== "application/problem+json")
    return wrong("the media type is not application/problem+json");
  if (code === "INTERNAL_ERROR" || answer.status === 500) return wrong("a fault of ours");
  return { code };
}

/** An answer of the hook to what is frps's protocol: 200, and one of three whole decisions. */
export function judgeHookAnswer(answer: HttpAnswer): Outcome & { readonly content?: Readonly<Record<string, unknown>> } {
  if (answer.status !== 200)
    return answer.status >= 400 && answer.status < 500
      ? judgeProblem(answer)
      : broken(String(answer.status), "answer", `the hook answered ${answer.status} ${shown(answer.text)}`);
  const wrong = (what: string): Outcome => broken("200", "answer", `${what}: ${shown(answer.text)}`);
  const decision = strictObject(answer.text);
  if (decision === undefined) return wrong("the decision is no object");
  const members = Object.keys(decision).sort().join(" ");
  if (decision["reject"] === true) {
    const reason = decision["reject_reason"];
    if (members !== "reject reject_reason" || typeof reason !== "string") return wrong("a refusal has two members");
    if (!/^[A-Z_]+: [\x20-\x7e]+$/.test(reason) || reason.length > 200)
      return wrong("a reason is a code and at most 200 printable characters");
    const code = reason.slice(0, reason.indexOf(":"));
    if (!isKnown(code) || known[code]?.voices.includes("hook") !== true) return wrong("the code is none that the hook says");
    return code === "INTERNAL_ERROR" ? wrong("a fault of ours") : { code };
  }
  if (decision["reject"] !== false) return wrong("reject is no boolean");
  if (decision["unchange"] === true)
    return members === "reject unchange" ? { code: "kept" } : wrong("an admission as it is has two members");
  const content = decision["content"];
  if (decision["unchange"] !== false || members !== "content reject unchange") return wrong("an admission with changes has three members");
  if (typeof content !== "object" || content === null || Array.isArray(content) || Object.keys(content).length === 0)
    return wrong("an admission with changes has a whole content");
  return { code: "admitted", content: content as Record<string, unknown> };
}
