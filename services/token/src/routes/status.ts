/**
 * `GET /v1/tunnel/status/{walletAddress}`: whether an address is served, in the seed's two shapes with `routable`, `asOf`,
 * `stale` and a reason when it is not reachable (DESIGN.md §4). When somebody was last here is public to the hour. Asked at most twice a second a label.
 */
import { deriveLabel, type Label, parseIdentity, printIdentity, type TunnelStatus } from "@keyhole/core";
import { renderAnswer, respond } from "../answer.ts";
import { describeCause } from "../cause-description.ts";
import type { Endpoint } from "../endpoint.ts";
import { printHour, printInstant } from "../instant.ts";
import { describeRefusals } from "../openapi-refusals.ts";
import { statusExamples, statusSchema } from "../openapi-schemas.ts";
import { createRecentAnswers } from "../recent-answers.ts";
import { cutTarget } from "../request-target.ts";

const maxAgeMs = 500;
const maxLabels = 10_000;

export const statusEndpoint: Endpoint = {
  route: {
    method: "get",
    path: "/v1/tunnel/status/{walletAddress}",
    operationId: "getTunnelStatus",
    tags: ["tunnel"],
    summary: "Tell whether an address is served",
    description: "An address that nobody has ever used is `disconnected` with `lastSeen: null`.",
    parameters: [
      {
        name: "walletAddress",
        in: "path",
        required: true,
        description: "An EVM address, all lower case or with its EIP-55 checksum, or a Stellar account G….",
        schema: { type: "string" },
        example: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
      },
    ],
    responses: {
      200: { description: "The status.", content: { "application/json": { schema: statusSchema, examples: statusExamples } } },
      ...describeRefusals([
        "NOT_FOUND",
        "WALLET_FORMAT",
        "WALLET_CHECKSUM",
        "WALLET_KIND_UNSUPPORTED",
        "WALLET_RESERVED",
        "WALLET_WEAK_KEY",
        "STORE_UNAVAILABLE",
      ]),
    },
  },

  create: (deps) => {
    const readRecent = createRecentAnswers<Label, TunnelStatus | undefined>({
      ask: async (label) => {
        try {
          return await deps.readStatus(label);
        } catch (error) {
          deps.log.warn({ code: "STORE_UNAVAILABLE", cause: describeCause(error) }, "status cannot be told");
          return undefined;
        }
      },
      maxAgeMs,
      maxEntries: maxLabels,
      now: () => deps.now(),
    });
    return async (c) => {
      // An address has one spelling in a path as well, and nothing has to be escaped in it.
      if (cutTarget(c.req.url).path.includes("%")) return deps.refuse(c, { code: "NOT_FOUND" });
      const identity = parseIdentity(c.req.param("walletAddress"));
      if (!identity.granted) return deps.refuse(c, identity.refusal);
      const label = deriveLabel(identity.value);
      const status = await readRecent(label);
      if (status === undefined) return deps.refuse(c, { code: "STORE_UNAVAILABLE" });
      const shown = { walletAddress: printIdentity(identity.value), tunnelUrl: deps.settings.tunnelUrl(label), ...describeStatus(status) };
      return respond(c, renderAnswer(c.get("requestId"), { type: "application/json", body: JSON.stringify(shown) }));
    };
  },
};

function describeStatus(status: TunnelStatus): Record<string, unknown> {
  const known = { asOf: printInstant(status.asOf), stale: status.stale };
  if (status.status === "connected") {
    const { connectedSince, routable, reason } = status;
    const told = { status: "connected", connectedSince: printInstant(connectedSince), routable, ...known };
    return reason === undefined ? told : { ...told, reason };
  }
  const lastSeen = status.lastSeen === null ? null : printHour(status.lastSeen);
  return { status: "disconnected", lastSeen, routable: false, reason: status.reason, ...known };
}
