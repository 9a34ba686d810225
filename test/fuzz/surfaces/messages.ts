/** frp's messages to its hook, read by frp's parser directly: whatever arrives is a request, malformed, or not frps's. */
import { parseHookRequest, renderHookAnswer } from "@keyhole/frp";
import { judgeHookAnswer } from "../answer-rules.ts";
import { mutateJson, oddValue } from "../mutate.ts";
import { broken, decodeInput, encodeInput, type Outcome, type Surface } from "../surface.ts";
import type { FuzzWorld } from "../world.ts";
import { drawMessage } from "./frps-messages.ts";

/** The parser under test. */
export type MessageSubjects = { readonly parseHookRequest: typeof parseHookRequest; readonly renderHookAnswer: typeof renderHookAnswer };

/** One surface: `hook-message`. */
export function createMessageSurface(world: FuzzWorld, subjects: MessageSubjects = { parseHookRequest, renderHookAnswer }): Surface {
  return {
    name: "hook-message",
    share: 6,
    lanes: 1,
    mustSee: ["Login", "NewProxy", "CloseProxy", "malformed", "not-frps", "op-mismatch"],
    make: (prng) => {
      const { op, content } = drawMessage(world, prng);
      const body = { version: "0.1.0", op, content };
      return encodeInput({ op, body: prng.chance(0.1) ? oddValue(prng) : prng.chance(0.6) ? mutateJson(body, prng) : body });
    },
    run: (input) => judgeMessage(decodeInput(input), subjects),
  };
}

function judgeMessage(input: unknown, subjects: MessageSubjects): Outcome {
  const { op, body } = (typeof input === "object" && input !== null ? input : {}) as { op?: unknown; body?: unknown };
  const parsed = subjects.parseHookRequest(typeof op === "string" ? op : null, body);
  if (parsed.kind !== "request") return { code: parsed.kind };
  const { request } = parsed;
  const texts =
    request.op === "Login"
      ? [
          request.content.privilegeKey,
          request.content.runId,
          request.content.user,
          request.content.clientAddress,
          ...Object.values(request.content.metas),
        ]
      : [request.content.proxyName, request.content.user.runId, request.content.user.user, ...Object.values(request.content.user.metas)];
  if (texts.some((text) => typeof text !== "string"))
    return broken(request.op, "answer", "what was parsed is of another type than promised");
  if (request.op === "Login" && !Number.isSafeInteger(request.content.timestamp))
    return broken(request.op, "answer", "timestamp is no whole number");
  if (request.op !== "CloseProxy") {
    const text = subjects.renderHookAnswer({ kind: "replace", content: { ...request.content.raw, user: "x" } }).toString("utf8");
    const { problem } = judgeHookAnswer({ status: 200, headers: {}, text });
    if (problem !== undefined) return { code: request.op, problem };
  }
  return { code: request.op };
}
