/** A living session as the admin API shows it, and pages of them. */
import { grant, identityOfLabel, printIdentity, refuse, type Verdict } from "@keyhole/core";
import type { Plugin, SessionView } from "@keyhole/plugin";
import type { SessionListShape, SessionShape } from "./admin-schemas.ts";

/** The view of one. Its state is what the plugin says of its label. */
export async function viewSession(session: SessionView, readStatus: Plugin["readStatus"]): Promise<SessionShape> {
  const { id, label, kind, generation, source, issuedAt, endsAt, admittedAt, connectedAt, seenAt, proxies } = session;
  const status = connectedAt === undefined ? undefined : await readStatus(label);
  return {
    id,
    address: printIdentity(identityOfLabel(label)),
    label,
    state: status === undefined ? "admitted" : status.status === "connected" && status.routable ? "routable" : "connected",
    kind,
    generation,
    source: source ?? null,
    issuedAt: issuedAt.toISOString(),
    endsAt: endsAt.toISOString(),
    admittedAt: admittedAt.toISOString(),
    connectedAt: connectedAt?.toISOString() ?? null,
    seenAt: seenAt?.toISOString() ?? null,
    proxies: [...proxies],
  };
}

/** One page, the newest first. A session that comes or goes meanwhile moves no other to another page. */
export async function pageSessions(
  all: readonly SessionView[],
  page: { readonly limit: number; readonly cursor: string | undefined },
  readStatus: Plugin["readStatus"],
): Promise<Verdict<SessionListShape>> {
  const sorted = all.toSorted((one, other) => compare(keyOf(other), keyOf(one)));
  const after = page.cursor === undefined ? undefined : readCursor(page.cursor);
  if (page.cursor !== undefined && after === undefined)
    return refuse("QUERY_MALFORMED", { parameter: "cursor", reason: "it is none that was given" });
  const rest = after === undefined ? sorted : sorted.filter((session) => compare(keyOf(session), after) < 0);
  const shown = rest.slice(0, page.limit);
  const last = shown.at(-1);
  return grant({
    sessions: await Promise.all(shown.map((session) => viewSession(session, readStatus))),
    total: all.length,
    next: last === undefined || rest.length === shown.length ? null : printCursor(keyOf(last)),
  });
}

type Key = readonly [admittedMs: number, id: string];
const keyOf = ({ admittedAt, id }: SessionView): Key => [admittedAt.getTime(), id];
const compare = ([ms, id]: Key, [otherMs, otherId]: Key): number => ms - otherMs || (id < otherId ? -1 : id > otherId ? 1 : 0);
const printCursor = ([ms, id]: Key): string => `${ms}.${id}`;

function readCursor(text: string): Key | undefined {
  const [, ms, id] = /^([0-9]{1,15})\.([\w-]{1,64})$/.exec(text) ?? [];
  return ms === undefined || id === undefined ? undefined : [Number(ms), id];
}
