/** `/v1/sessions`: who is there, and out with one of them. */
import type { Plugin, SessionView } from "@keyhole/plugin";
import { answerJson, answerRefusal } from "./admin-answers.ts";
import type { AdminEndpoint } from "./admin-endpoint.ts";
import { parseQuery, parseWhole } from "./admin-input.ts";
import { describeOrder, describeParameter, describeRead, waitParameter, walletRefusals } from "./admin-responses.ts";
import { sessionListSchema, sessionSchema } from "./admin-schemas.ts";
import { answerOrder, withPatience } from "./order-answers.ts";
import { pageSessions, viewSession } from "./session-view.ts";
import { parseWallet, printSubject } from "./subject-text.ts";

const idParameter = describeParameter("id", "path", "The id of a session, as the list tells it.");
const findSession = (plugin: Pick<Plugin, "sessions">, id: string | undefined): SessionView | undefined =>
  plugin.sessions().find((session) => session.id === id);

const listSessions: AdminEndpoint = {
  route: {
    method: "get",
    path: "/v1/sessions",
    operationId: "listSessions",
    tags: ["sessions"],
    summary: "List the sessions that live, the newest first",
    parameters: [
      describeParameter("address", "query", "Only those of this wallet."),
      describeParameter("limit", "query", "How many a page, 1 to 1000 (default: 100).", "integer"),
      describeParameter("cursor", "query", "`next` of the page before."),
    ],
    responses: describeRead("A page of sessions.", sessionListSchema, walletRefusals),
  },
  create:
    ({ plugin }) =>
    async (c) => {
      const query = parseQuery(c, ["address", "limit", "cursor"]);
      if (!query.granted) return answerRefusal(c, query.refusal);
      const { address, cursor } = query.value;
      const limit = parseWhole("limit", query.value.limit, { least: 1, most: 1000, usual: 100 });
      if (!limit.granted) return answerRefusal(c, limit.refusal);
      const label = address === undefined ? undefined : parseWallet(address);
      if (label?.granted === false) return answerRefusal(c, label.refusal);
      const all = plugin.sessions().filter((session) => label === undefined || session.label === label.value);
      const page = await pageSessions(all, { limit: limit.value, cursor }, plugin.readStatus);
      return page.granted ? answerJson(c, page.value) : answerRefusal(c, page.refusal);
    },
};

const showSession: AdminEndpoint = {
  route: {
    method: "get",
    path: "/v1/sessions/{id}",
    operationId: "showSession",
    tags: ["sessions"],
    summary: "Show one session that lives",
    parameters: [idParameter],
    responses: describeRead("The session.", sessionSchema, ["SESSION_NOT_FOUND"]),
  },
  create:
    ({ plugin }) =>
    async (c) => {
      const session = findSession(plugin, c.req.param("id"));
      if (session === undefined) return answerRefusal(c, { code: "SESSION_NOT_FOUND" });
      return answerJson(c, await viewSession(session, plugin.readStatus));
    },
};

const kickSession: AdminEndpoint = {
  route: {
    method: "post",
    path: "/v1/sessions/{id}/kick",
    operationId: "kickSession",
    tags: ["sessions"],
    summary: "End a session; its client may log in again",
    description: "All sessions of its wallet end: there is more than one only while one takes over from another.",
    parameters: [idParameter, waitParameter],
    responses: describeOrder(["SESSION_NOT_FOUND"]),
  },
  create:
    ({ plugin }) =>
    (c) =>
      withPatience(c, async (waitMs) => {
        const session = findSession(plugin, c.req.param("id"));
        if (session === undefined) return answerRefusal(c, { code: "SESSION_NOT_FOUND" });
        const ordered = await plugin.operator.kick(session.label, c.env.orderer);
        return await answerOrder(c, { order: "kick", subject: printSubject(session.label), ...ordered }, waitMs);
      }),
};

/** In the order of the document. */
export const sessionEndpoints: readonly AdminEndpoint[] = [listSessions, showSession, kickSession];
