/** How an order that is recorded is answered: 200 when it is enforced by then, 202 when nobody can say so yet. */
import type { Context } from "hono";
import { answerJson, answerRefusal } from "./admin-answers.ts";
import type { AdminEnv } from "./admin-endpoint.ts";
import { parseQuery, parseWhole } from "./admin-input.ts";
import type { BlockShape, OrderShape } from "./admin-schemas.ts";

/** How long an order waits for the edge. */
const mostWaitMs = 900;

/** What an order waits: `?waitMs=`. Gives the handler the time, or refuses. */
export async function withPatience(c: Context<AdminEnv>, work: (waitMs: number) => Promise<Response>): Promise<Response> {
  const query = parseQuery(c, ["waitMs"]);
  if (!query.granted) return answerRefusal(c, query.refusal);
  const waitMs = parseWhole("waitMs", query.value.waitMs, { least: 0, most: mostWaitMs, usual: mostWaitMs });
  return waitMs.granted ? await work(waitMs.value) : answerRefusal(c, waitMs.refusal);
}

/** Answers an order when it is enforced, or when the time is over. */
export async function answerOrder(
  c: Context<AdminEnv>,
  order: {
    readonly order: OrderShape["order"];
    readonly subject: string;
    readonly ended: number;
    readonly enforced: Promise<boolean>;
    readonly notBefore?: Date;
    readonly block?: BlockShape;
  },
  waitMs: number,
): Promise<Response> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), waitMs);
  const enforced = await Promise.race([order.enforced, late.promise]);
  clearTimeout(timer);
  const { subject, ended, notBefore, block } = order;
  const answer: OrderShape = {
    order: order.order,
    subject,
    enforced,
    ended,
    ...(notBefore === undefined ? {} : { notBefore: notBefore.toISOString() }),
    ...(block === undefined ? {} : { block }),
  };
  return answerJson(c, answer, enforced ? 200 : 202);
}
