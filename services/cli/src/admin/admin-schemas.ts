/** The shapes of the admin API, as its OpenAPI document shows them. Tests hold real answers against them. */
import { z } from "@hono/zod-openapi";
import { type RefusalCode, refusalCodes, refusals } from "@keyhole/core";

const instant = () => z.iso.datetime();
const kind = z.enum(["hmac", "jwt", "claim", "stellar-jwt"]).openapi({ description: "How it was proved." });
const orNull = <Schema extends z.ZodType>(schema: Schema, description: string) => schema.nullable().openapi({ description });

/** Every code that this API says. */
const adminCodes = refusalCodes.filter((code) => refusals[code].voices.some((voice) => voice === "admin"));

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: "What is wrong." }),
    instance: z.string(),
    error: z.string(),
    code: z.enum(adminCodes as [RefusalCode, ...RefusalCode[]]).openapi({ description: "What is wrong, for programs. Stable." }),
    remedy: z.string().openapi({ description: "What to do about it." }),
    requestId: z.string().openapi({ description: "As in X-Request-Id." }),
  })
  .catchall(z.unknown())
  .openapi("Problem");

export const sessionSchema = z
  .strictObject({
    id: z.string(),
    address: z.string(),
    label: z.string(),
    state: z.enum(["admitted", "connected", "routable"]).openapi({
      description:
        "admitted: logged in, no tunnel yet. connected: it has a tunnel. routable: and as far as anybody can tell requests reach it.",
    }),
    kind,
    generation: z.int(),
    source: orNull(z.string(), "Where its client came from (ip:port), where that is known."),
    issuedAt: instant(),
    endsAt: instant(),
    admittedAt: instant(),
    connectedAt: instant().nullable(),
    seenAt: orNull(instant(), "When frps's dashboard last showed it."),
    proxies: z.array(z.string()),
  })
  .openapi("Session");
export type SessionShape = z.infer<typeof sessionSchema>;

export const sessionListSchema = z
  .strictObject({
    sessions: z.array(sessionSchema),
    total: z.int().openapi({ description: "How many there are on all pages." }),
    next: orNull(z.string(), "The cursor of the next page; null on the last one."),
  })
  .openapi("SessionList");
export type SessionListShape = z.infer<typeof sessionListSchema>;

const blockFields = {
  subject: z.string().openapi({ description: "A label, or a network in CIDR." }),
  reason: z.string(),
  createdAt: instant(),
  endsAt: orNull(instant(), "null: until it is lifted."),
};
const blockSchema = z.strictObject(blockFields).openapi("Block");
export type BlockShape = z.infer<typeof blockSchema>;
export const blockListSchema = z.strictObject({ blocks: z.array(blockSchema) }).openapi("BlockList");
export type BlockListShape = z.infer<typeof blockListSchema>;

const by = orNull(z.string(), "Who ordered it; null when the event that told it is forgotten.");

export const orderSchema = z
  .strictObject({
    order: z.enum(["kick", "revoke", "block", "unblock"]),
    subject: z.string().openapi({ description: "The wallet's address, or the network." }),
    enforced: z.boolean().openapi({
      description: "true: the edge refuses new requests from now on. false: recorded, and enforced as soon as that is possible.",
    }),
    ended: z.int().openapi({ description: "How many sessions it ended." }),
    notBefore: instant().optional().openapi({ description: "revoke: what was issued earlier counts no more." }),
    block: blockSchema.optional(),
  })
  .openapi("Order");
export type OrderShape = z.infer<typeof orderSchema>;

export const identitySchema = z
  .strictObject({
    address: z.string(),
    label: z.string(),
    namespace: z.enum(["eip155", "stellar"]),
    url: z.string().openapi({ description: "Where visitors find it." }),
    sessions: orNull(z.array(sessionSchema), "Those that live; null when the plugin could not be asked."),
    block: z.strictObject({ ...blockFields, by }).nullable(),
    revocation: orNull(z.strictObject({ notBefore: instant(), at: instant(), by }), "By an operator."),
    ownerRevocation: z
      .strictObject({ notBefore: instant() })
      .nullable()
      .openapi({ description: "What was issued before counts no more: its owner revoked it, or a backup was restored." }),
    tokens: z
      .array(z.strictObject({ kind, issuedAt: instant(), expiresAt: instant(), state: z.enum(["good", "expired", "revoked"]) }))
      .openapi({ description: "The newest of each kind. The token itself is stored nowhere." }),
    lastSeen: instant().nullable(),
    history: z
      .array(
        z.strictObject({
          generation: z.int(),
          kind,
          source: orNull(z.string(), "Where its client came from, as long as the event of its login is kept."),
          admittedAt: instant(),
          connectedAt: instant().nullable(),
          closedAt: instant().nullable(),
          end: z.enum(["closed", "displaced", "expired", "lost", "evicted", "kicked"]).nullable(),
        }),
      )
      .openapi({ description: "Its last sessions, the newest first." }),
    events: z
      .array(
        z.strictObject({
          at: instant(),
          chain: z.enum(["tokens", "sessions"]),
          sequence: z.int(),
          event: z.string(),
          detail: z.record(z.string(), z.unknown()),
        }),
      )
      .openapi({ description: "What is remembered of it, the newest first." }),
  })
  .openapi("Identity");
export type IdentityShape = z.infer<typeof identitySchema>;

/** A year, and the day that some have more. */
const mostSeconds = 366 * 86_400;

export const blockOrderSchema = z
  .strictObject({
    subject: z.string().max(128).openapi({ description: "A wallet's address or label, an IP address, or a network in CIDR." }),
    forSeconds: z.int().min(1).max(mostSeconds).optional().openapi({ description: "Until it is lifted when left out." }),
    reason: z
      .string()
      .regex(/^[^\p{C}]{0,200}$/u, "must be at most 200 characters, all of them printable")
      .optional()
      .openapi({ description: "For operators alone; nobody else is told." }),
  })
  .openapi("BlockOrder", { example: { subject: "203.0.113.0/24", forSeconds: 86_400, reason: "credential stuffing" } });

export const statusSchema = z
  .strictObject({
    part: z.literal("plugin"),
    pid: z.int(),
    version: z.string(),
    startedAt: instant(),
    summary: z.string(),
    facts: z.record(z.string(), z.union([z.string(), z.number()])),
    problems: z.array(z.string()),
  })
  .openapi("Status");
