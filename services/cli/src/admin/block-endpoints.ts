/** `/v1/blocks`: who is kept out, until when and why. */
import type { Block } from "@keyhole/core";
import type { Context } from "hono";
import { answerJson, answerRefusal } from "./admin-answers.ts";
import type { AdminDeps, AdminEndpoint, AdminEnv } from "./admin-endpoint.ts";
import { parseBody, parseQuery } from "./admin-input.ts";
import { bodyRefusals, describeOrder, describeParameter, describeRead, waitParameter, walletRefusals } from "./admin-responses.ts";
import { type BlockShape, blockListSchema, blockOrderSchema } from "./admin-schemas.ts";
import { answerOrder, withPatience } from "./order-answers.ts";
import { parseSubject, printSubject } from "./subject-text.ts";

/** A block as it is told. */
const viewBlock = ({ subject, reason, createdAt, endsAt }: Block): BlockShape => ({
  subject,
  reason,
  createdAt: createdAt.toISOString(),
  endsAt: endsAt?.toISOString() ?? null,
});

const listBlocks: AdminEndpoint = {
  route: {
    method: "get",
    path: "/v1/blocks",
    operationId: "listBlocks",
    tags: ["blocks"],
    summary: "List the blocks that are in force, the newest first",
    responses: describeRead("Every block.", blockListSchema, []),
  },
  create:
    ({ plugin }) =>
    (c) =>
      answerJson(c, { blocks: plugin.blocks().map(viewBlock) }),
};

const setBlock: AdminEndpoint = {
  route: {
    method: "post",
    path: "/v1/blocks",
    operationId: "setBlock",
    tags: ["blocks"],
    summary: "Keep a wallet or a network out",
    description: "Nobody of it comes in until the block ends or is lifted, and who is there goes. A block of the same subject is replaced.",
    parameters: [waitParameter],
    request: { body: { required: true, content: { "application/json": { schema: blockOrderSchema } } } },
    responses: describeOrder([...bodyRefusals, "SUBJECT_MALFORMED", ...walletRefusals]),
  },
  create:
    ({ plugin, now }) =>
    (c) =>
      withPatience(c, async (waitMs) => {
        const body = await parseBody(c, blockOrderSchema);
        if (!body.granted) return answerRefusal(c, body.refusal);
        const { forSeconds, reason = "" } = body.value;
        const subject = parseSubject(body.value.subject);
        if (!subject.granted) return answerRefusal(c, subject.refusal);
        const endsAt = forSeconds === undefined ? undefined : new Date(now().getTime() + forSeconds * 1000);
        const { block, ...ordered } = await plugin.operator.block({ subject: subject.value, reason, endsAt }, c.env.orderer);
        const told = { order: "block", subject: printSubject(subject.value), ...ordered, block: viewBlock(block) } as const;
        return await answerOrder(c, told, waitMs);
      }),
};

const subjectText = "A wallet's address or label, or a network in CIDR with its slash as %2F.";

async function lift({ plugin }: AdminDeps, c: Context<AdminEnv>, text: string): Promise<Response> {
  const subject = parseSubject(text);
  if (!subject.granted) return answerRefusal(c, subject.refusal);
  if (!(await plugin.operator.unblock(subject.value, c.env.orderer))) return answerRefusal(c, { code: "BLOCK_NOT_FOUND" });
  return answerJson(c, { order: "unblock", subject: printSubject(subject.value), enforced: true, ended: 0 });
}

const liftBlock: AdminEndpoint = {
  route: {
    method: "delete",
    path: "/v1/blocks/{subject}",
    operationId: "liftBlock",
    tags: ["blocks"],
    summary: "Take a block back",
    parameters: [describeParameter("subject", "path", subjectText)],
    responses: describeOrder(["BLOCK_NOT_FOUND", "SUBJECT_MALFORMED", ...walletRefusals]),
  },
  create: (deps) => async (c) => await lift(deps, c, c.req.param("subject") ?? ""),
};

const liftBlockByQuery: AdminEndpoint = {
  route: {
    method: "delete",
    path: "/v1/blocks",
    operationId: "liftBlockByQuery",
    tags: ["blocks"],
    summary: "Take a block back, its subject in the query",
    parameters: [{ ...describeParameter("subject", "query", "A wallet's address or label, or a network in CIDR."), required: true }],
    responses: describeOrder(["BLOCK_NOT_FOUND", "SUBJECT_MALFORMED", ...walletRefusals]),
  },
  create: (deps) => async (c) => {
    const query = parseQuery(c, ["subject"]);
    return query.granted ? await lift(deps, c, query.value.subject ?? "") : answerRefusal(c, query.refusal);
  },
};

/** In the order of the document. */
export const blockEndpoints: readonly AdminEndpoint[] = [listBlocks, setBlock, liftBlock, liftBlockByQuery];
