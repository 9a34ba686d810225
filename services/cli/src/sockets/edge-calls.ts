/**
 * The calls of `edge.sock` as JSON: one codec for both ends. A batch is an ordered list of calls, so that what the plugin
 * says about a label arrives in the order in which it was said.
 */
import { type EvidenceReport, edgeFailures, type Label, type Network, parseLabel, parseNetwork } from "@keyhole/core";
import type { EdgeRuntime } from "@keyhole/edge";
import { z } from "zod";

const label = z.string().transform((text, context): Label => {
  const parsed = parseLabel(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: "custom", message: "must be a label" });
  return z.NEVER;
});
const network = z.string().transform((text, context): Network => {
  const parsed = parseNetwork(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: "custom", message: "must be a network" });
  return z.NEVER;
});
const instant = z.iso.datetime().transform((text) => new Date(text));
const dated = z.array(z.tuple([label, instant]));
const shortText = z.string().max(256);

const edgeCall = z.discriminatedUnion("method", [
  z.strictObject({ method: z.literal("put"), label, since: instant }),
  z.strictObject({ method: z.literal("delete"), label, lastSeen: instant, reason: z.enum(["offline", "ended"]) }),
  z.strictObject({
    method: z.literal("replaceAll"),
    live: dated,
    lastSeen: dated,
    blocked: z.array(label),
    blockedNetworks: z.array(network),
  }),
  z.strictObject({ method: z.literal("handOver"), label }),
  z.strictObject({ method: z.literal("block"), label }),
  z.strictObject({ method: z.literal("unblock"), label }),
  z.strictObject({ method: z.literal("blockNetwork"), network }),
  z.strictObject({ method: z.literal("unblockNetwork"), network }),
  z.strictObject({ method: z.literal("cut"), connectionId: shortText }),
  z.strictObject({ method: z.literal("claim"), connectionId: shortText, holder: z.string().max(64), label }),
  z.strictObject({ method: z.literal("release"), connectionId: shortText }),
  z.strictObject({ method: z.literal("keepOnly"), holders: z.array(z.string().max(64)) }),
  z.strictObject({ method: z.literal("claimedBy"), holder: z.string().max(64) }),
  z.strictObject({ method: z.literal("connectionOf"), clientAddress: shortText }),
  z.strictObject({ method: z.literal("readEvidence"), cursor: shortText.nullable() }),
]);

/** One call, as it is sent: instants are ISO 8601 texts there. */
export type EdgeCall = z.input<typeof edgeCall>;

/** A batch as it arrives. */
export const edgeBatch = z.strictObject({ calls: z.array(edgeCall).max(10_000) });

/** What one call came to. `value` is absent where the method promises none. */
export const edgeResults = z.object({
  results: z.array(z.union([z.object({ value: z.unknown() }), z.object({ failure: z.string() })])),
});

/** The answer to `connectionOf`. */
export const controlConnection = z
  .object({ id: z.string(), source: z.string(), retryAfterSeconds: z.number().int().positive().exactOptional() })
  .nullable();

/** The answer to `readEvidence`. */
export const evidenceReport = z.object({
  cursor: shortText,
  evidence: z.array(
    z.object({ label, at: instant, failure: z.enum(edgeFailures).nullable() }).transform(({ failure, ...rest }) => ({
      ...rest,
      failure: failure ?? undefined,
    })),
  ),
  isMore: z.boolean(),
});

/** Performs a call that has arrived on the running edge. Null stands for undefined, which JSON does not have. */
export async function performEdgeCall(runtime: EdgeRuntime, call: z.output<typeof edgeCall>): Promise<unknown> {
  switch (call.method) {
    case "put":
      return await runtime.put({ label: call.label, since: call.since });
    case "delete":
      return await runtime.delete(call.label, { lastSeen: call.lastSeen, reason: call.reason });
    case "replaceAll":
      return await runtime.replaceAll({
        live: call.live.map(([one, since]) => ({ label: one, since })),
        lastSeen: new Map(call.lastSeen),
        blocked: new Set(call.blocked),
        blockedNetworks: new Set(call.blockedNetworks),
      });
    case "handOver":
      return await runtime.handOver(call.label);
    case "block":
      return await runtime.block(call.label);
    case "unblock":
      return await runtime.unblock(call.label);
    case "blockNetwork":
      return await runtime.blockNetwork(call.network);
    case "unblockNetwork":
      return await runtime.unblockNetwork(call.network);
    case "cut":
      return await runtime.cut(call.connectionId);
    case "claim":
      return await runtime.claim(call.connectionId, { holder: call.holder, label: call.label });
    case "release":
      return await runtime.release(call.connectionId);
    case "keepOnly":
      return await runtime.keepOnly(new Set(call.holders));
    case "claimedBy":
      return (await runtime.claimedBy(call.holder)) ?? null;
    case "connectionOf":
      return (await runtime.connectionOf(call.clientAddress)) ?? null;
    case "readEvidence":
      return renderReport(await runtime.readEvidence(call.cursor ?? undefined));
  }
}

const renderReport = (report: EvidenceReport | undefined): object | null =>
  report === undefined ? null : { ...report, evidence: report.evidence.map((one) => ({ ...one, failure: one.failure ?? null })) };
