/**
 * Judges a race from outside, by what was answered when. A request that starts after a login was answered may be served by
 * nobody who was admitted before that login was asked for: an admitted login has displaced all of them. Of two logins that
 * overlapped, only the higher rank may serve while it lives. Nobody is admitted below a living higher rank. And what was
 * revoked, kicked or blocked serves nothing that starts after the order was answered.
 */
import type { AdmittedLogin, Order, RaceHistory, Served } from "./history.ts";

/** What was not as promised. */
export type RaceViolation = { readonly rule: string; readonly label: string; readonly what: string };

/** How long after it was ordered an order that was not enforced at once must be. */
const enforcedWithinMs = 2000;

/** Judges the whole history. */
export function judgeRace(history: RaceHistory): readonly RaceViolation[] {
  const labels = [...new Set(history.served.map(({ label }) => label).concat(history.logins.map(({ label }) => label)))];
  return labels.flatMap((label) => {
    const of = <Item extends { readonly label: string }>(items: readonly Item[]): readonly Item[] =>
      items.filter((item) => item.label === label);
    return judgeLabel(label, {
      logins: of(history.logins),
      tokens: of(history.tokens),
      orders: of(history.orders),
      served: of(history.served),
    });
  });
}

function judgeLabel(label: string, history: RaceHistory): readonly RaceViolation[] {
  const { logins, orders, served } = history;
  const byId = new Map(logins.map((login) => [login.id, login]));
  const violations: RaceViolation[] = [];
  const say = (rule: string, what: string): void => void violations.push({ rule, label, what });
  const latestIssuedAt = createLatestIssuedAt(history);

  /** Nobody has ended it by then: not its client, not an order that may have reached it, not a third login. */
  const livesThrough = (login: AdmittedLogin, until: number, besides: AdmittedLogin): boolean =>
    (login.endingAt === undefined || login.endingAt > until) &&
    !orders.some((order) => order.what !== "unblock" && order.answeredAt >= login.askedAt && order.askedAt <= until) &&
    !logins.some((other) => other !== login && other !== besides && other.answeredAt >= login.askedAt && other.askedAt <= until);

  /** True when whatever renewals did, the one ranks above the other. */
  const surelyOutranks = (one: AdmittedLogin, other: AdmittedLogin, at: number): boolean => {
    const theirs = latestIssuedAt(other, at);
    return one.issuedAt > theirs || (one.issuedAt === theirs && one.generation > other.generation);
  };

  for (const login of logins) {
    for (const other of logins) {
      if (other === login || other.answeredAt >= login.askedAt) continue;
      // Both may have been displaced by a third one since; then the other does not live.
      const lives = (other.endingAt ?? Number.POSITIVE_INFINITY) > login.answeredAt && isUntouched(other, login, history);
      if (lives && other.generation !== login.generation && surelyOutranks(other, login, login.answeredAt))
        say("admission", `${login.id} was admitted while ${other.id}, of a higher rank, lived`);
    }
  }

  for (const request of served) {
    const { by, startedAt } = request;
    if (by === undefined) continue;
    const login = byId.get(by);
    if (login === undefined) {
      say("stranger", `a request was answered by ${by}, who was never admitted for this address`);
      continue;
    }
    const displacer = logins.find((other) => other !== login && other.askedAt > login.answeredAt && other.answeredAt < startedAt);
    if (displacer !== undefined)
      say(
        "displaced",
        `${tell(request)} by ${login.id}, though ${displacer.id} had been admitted ${ms(startedAt - displacer.answeredAt)} before it`,
      );
    const higher = logins.find(
      (other) =>
        other !== login &&
        other.answeredAt < startedAt &&
        overlap(other, login) &&
        surelyOutranks(other, login, request.endedAt) &&
        livesThrough(other, request.endedAt, login),
    );
    if (higher !== undefined) say("rank", `${tell(request)} by ${login.id}, though ${higher.id} ranks above it and lives`);
    for (const order of orders) {
      const what = judgeOrder(order, orders, login, request);
      if (what !== undefined) say(order.what, `${tell(request)} by ${login.id}, ${what}`);
    }
  }
  return violations;
}

/** The highest issued-at that renewals may have given a login by then: a token that was bought while it lived counts for it. */
function createLatestIssuedAt({ tokens }: RaceHistory): (login: AdmittedLogin, at: number) => number {
  return (login, at) =>
    tokens.reduce(
      (latest, token) => (token.askedAt <= at && token.issuedAt * 1000 >= login.askedAt - 2000 ? Math.max(latest, token.issuedAt) : latest),
      login.issuedAt,
    );
}

/** Between the two logins nobody else was let in, and nothing was ordered. */
const isUntouched = (other: AdmittedLogin, login: AdmittedLogin, { logins, orders }: RaceHistory): boolean =>
  !logins.some((third) => third !== other && third !== login && third.answeredAt >= other.askedAt && third.askedAt <= login.answeredAt) &&
  !orders.some((order) => order.what !== "unblock" && order.answeredAt >= other.askedAt && order.askedAt <= login.answeredAt);

const overlap = (one: AdmittedLogin, other: AdmittedLogin): boolean => one.askedAt <= other.answeredAt && other.askedAt <= one.answeredAt;

function judgeOrder(order: Order, orders: readonly Order[], login: AdmittedLogin, { startedAt }: Served): string | undefined {
  const inForceFrom = order.isEnforced ? order.answeredAt : Math.max(order.answeredAt, order.askedAt + enforcedWithinMs);
  if (startedAt <= inForceFrom) return undefined;
  const ago = ms(startedAt - order.askedAt);
  switch (order.what) {
    case "revoke":
    case "owner-revoke":
      return login.credentialIssuedAt < (order.notBefore ?? 0) && login.answeredAt < order.askedAt
        ? `whose credential was revoked ${ago} before it`
        : undefined;
    case "kick":
      return login.answeredAt < order.askedAt ? `which was kicked ${ago} before it` : undefined;
    case "block": {
      const lifted = orders.some(
        ({ what, askedAt, answeredAt }) => what === "unblock" && answeredAt > order.askedAt && askedAt <= startedAt,
      );
      return lifted ? undefined : `whose address was blocked ${ago} before it`;
    }
    default:
      return undefined;
  }
}

const ms = (time: number): string => `${Math.round(time)} ms`;
const tell = ({ startedAt, endedAt }: Served): string => `a request of ${ms(endedAt - startedAt)} was served`;
