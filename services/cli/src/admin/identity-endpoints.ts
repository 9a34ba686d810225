/** `/v1/identities/{address}`: everything that is known of a wallet, and what is ordered about it. */
import { answerJson, answerRefusal } from "./admin-answers.ts";
import type { AdminEndpoint } from "./admin-endpoint.ts";
import { addressParameter, describeOrder, describeRead, waitParameter, walletRefusals } from "./admin-responses.ts";
import { identitySchema } from "./admin-schemas.ts";
import { readIdentity } from "./identity-view.ts";
import { answerOrder, withPatience } from "./order-answers.ts";
import { viewSession } from "./session-view.ts";
import { parseWallet, printSubject } from "./subject-text.ts";

const showIdentity: AdminEndpoint = {
  route: {
    method: "get",
    path: "/v1/identities/{address}",
    operationId: "showIdentity",
    tags: ["identities"],
    summary: "Show everything that is known of a wallet",
    description: "One that nobody has ever used is shown too: with nothing in it.",
    parameters: [addressParameter],
    responses: describeRead("The wallet.", identitySchema, [...walletRefusals, "STORE_UNAVAILABLE"]),
  },
  create:
    ({ plugin, identities }) =>
    async (c) => {
      const label = parseWallet(c.req.param("address") ?? "");
      if (!label.granted) return answerRefusal(c, label.refusal);
      const living = plugin.sessions().filter((session) => session.label === label.value);
      const live = await Promise.all(living.map((session) => viewSession(session, plugin.readStatus)));
      return answerJson(c, await readIdentity(identities, label.value, live));
    },
};

const kickIdentity: AdminEndpoint = {
  route: {
    method: "post",
    path: "/v1/identities/{address}/kick",
    operationId: "kickIdentity",
    tags: ["identities"],
    summary: "End the sessions of a wallet; its client may log in again",
    parameters: [addressParameter, waitParameter],
    responses: describeOrder([...walletRefusals, "SESSION_NOT_FOUND"]),
  },
  create:
    ({ plugin }) =>
    (c) =>
      withPatience(c, async (waitMs) => {
        const label = parseWallet(c.req.param("address") ?? "");
        if (!label.granted) return answerRefusal(c, label.refusal);
        if (!plugin.sessions().some((session) => session.label === label.value)) return answerRefusal(c, { code: "SESSION_NOT_FOUND" });
        const ordered = await plugin.operator.kick(label.value, c.env.orderer);
        return await answerOrder(c, { order: "kick", subject: printSubject(label.value), ...ordered }, waitMs);
      }),
};

const revokeIdentity: AdminEndpoint = {
  route: {
    method: "post",
    path: "/v1/identities/{address}/revoke",
    operationId: "revokeIdentity",
    tags: ["identities"],
    summary: "Let nothing count any more that was issued to a wallet until now",
    description: "Its sessions end. Who holds the key may sign again and come back: to keep a wallet out, block it.",
    parameters: [addressParameter, waitParameter],
    responses: describeOrder(walletRefusals),
  },
  create:
    ({ plugin }) =>
    (c) =>
      withPatience(c, async (waitMs) => {
        const label = parseWallet(c.req.param("address") ?? "");
        if (!label.granted) return answerRefusal(c, label.refusal);
        const ordered = await plugin.operator.revoke(label.value, c.env.orderer);
        return await answerOrder(c, { order: "revoke", subject: printSubject(label.value), ...ordered }, waitMs);
      }),
};

/** In the order of the document. */
export const identityEndpoints: readonly AdminEndpoint[] = [showIdentity, revokeIdentity, kickIdentity];
