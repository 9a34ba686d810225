/** What each part says about itself when `keyhole status` asks. */
import { signatureBackends } from "@keyhole/core";
import type { Plugin } from "@keyhole/plugin";
import { printAddress } from "../listeners.ts";
import type { PartFacts } from "../sockets/part-status.ts";
import type { EdgePart } from "./edge-part.ts";
import type { Foundation } from "./foundation.ts";
import type { PluginPart } from "./plugin-part.ts";
import type { SupervisorPart } from "./supervisor-part.ts";
import { checkStore, type TokenPart } from "./token-part.ts";

/** frps's own word is as old as this when something keeps us from hearing it. */
const staleMs = 10_000;

/** The edge's; undefined while it is starting. */
export function readEdgeFacts(foundation: Foundation, part: Pick<EdgePart, "edge" | "readRates"> | undefined): PartFacts {
  if (part === undefined) return { summary: "starting", facts: {}, problems: ["it is starting: nobody is served yet."] };
  const { edge } = part;
  const stats = edge.stats();
  const { requests, refusals } = part.readRates();
  return {
    summary: `${count(stats.liveLabels, "live label")}, ${count(stats.controlConnections, "client connection")}, ${count(stats.openVisitorConnections, "visitor connection")}`,
    facts: {
      visitors: edge.visitorsUrl,
      clients: `tcp://${printAddress({ host: foundation.config["control.listen"].host, port: edge.controlPort })}`,
      liveLabels: stats.liveLabels,
      clientConnections: stats.controlConnections,
      visitorConnections: stats.openVisitorConnections,
      heldRequests: stats.held,
      requestsPerSecond: perSecond(requests),
      refusalsPerMinute: refusals,
    },
    problems: describeWrongPort(foundation, "control.listen", edge.controlPort, "clients are told"),
  };
}

/** The token service's. */
export async function readTokenFacts(
  foundation: Foundation,
  { service, readRates }: Pick<TokenPart, "service" | "readRates">,
  check: () => Promise<void>,
): Promise<PartFacts> {
  const { url, port } = service;
  const store = await checkStore(check);
  const problems = describeWrongPort(foundation, "token.listen", port, "the edge asks");
  if (!store.ok)
    problems.push(`tokens.db cannot be used (${store.detail}): no token can be issued. The log of this part says why and what helps.`);
  return {
    summary: store.ok ? "issues tokens" : "issues no tokens",
    facts: { url, store: store.ok ? "ok" : (store.detail ?? ""), signatures: describeBackends(), refusalsPerMinute: readRates().refusals },
    problems,
  };
}

/** The plugin's. `edgeIsThere` undefined: the edge is in the same process. */
export async function readPluginFacts(
  foundation: Foundation,
  parts: Pick<PluginPart, "plugin" | "readRates" | "checkStore" | "clock"> & { readonly edgeIsThere: boolean | undefined },
): Promise<PartFacts> {
  const { sessions, connected, reconciledAt, isFrpsThere, gateway } = parts.plugin.stats();
  const store = await checkStore(parts.checkStore);
  const { logins, refusals } = parts.readRates();
  const ageMs = reconciledAt === undefined ? undefined : Math.max(0, foundation.world.now().getTime() - reconciledAt.getTime());
  const problems = describeWrongPort(foundation, "plugin.listen", parts.plugin.hookPort, "frps calls");
  if (ageMs === undefined) problems.push("frps's dashboard could not be read yet, so nobody can log in. Is the supervisor running?");
  else if (ageMs > staleMs)
    problems.push(`frps's dashboard was last read ${seconds(ageMs)} ago: sessions are as of then. Is frps running?`);
  else if (!isFrpsThere)
    problems.push(
      "nobody listens on frps's dashboard port: frps is not running, or was started with another ports.json. Look at the supervisor.",
    );
  if (parts.edgeIsThere === false)
    problems.push("the edge cannot be reached: changes wait in its map files until it is back. Is the edge running?");
  if (gateway !== undefined && gateway !== "closed")
    problems.push("the Vana gateway does not answer: claims that need its word are refused. Is vana.gatewayUrl right, and up?");
  const behindMs = parts.clock.behindMs();
  if (behindMs > 0)
    problems.push(
      `the clock is ${seconds(behindMs)} behind what it was: who bought a token meanwhile waits as long (TOKENS_TOO_FAST, TOKEN_NOT_YET_VALID). If it is wrong now, set it right: timedatectl`,
    );
  if (!store.ok)
    problems.push(`sessions.db cannot be written (${store.detail}): logins go on, history is lost. The log of this part says why.`);
  return {
    summary: `${count(sessions, "session")}, ${count(connected, "tunnel")}`,
    facts: {
      hook: printAddress({ host: foundation.config["plugin.listen"].host, port: parts.plugin.hookPort }),
      sessions,
      tunnels: connected,
      routable: await countRoutable(parts.plugin),
      blocks: parts.plugin.blocks().length,
      loginsPerSecond: perSecond(logins),
      refusalsPerMinute: refusals,
      dashboardRead: ageMs === undefined ? "not yet" : `${seconds(ageMs)} ago`,
      signatures: describeBackends(),
      ...(gateway === undefined ? {} : { gateway: gateway === "closed" ? "asked" : gateway === "open" ? "away" : "tried again" }),
      edge: parts.edgeIsThere === undefined ? "in this process" : parts.edgeIsThere ? "reachable" : "away",
    },
    problems,
  };
}

/** The supervisor's: that is, frps's. */
export function readSupervisorFacts({ supervisor, frpsDescriptors }: Pick<SupervisorPart, "supervisor" | "frpsDescriptors">): PartFacts {
  const { state, pid, since, restarts, lastExit, adopted, replaced, misses } = supervisor.status();
  const problems: string[] = [];
  if (state !== "ready") problems.push(`frps is ${state}: no tunnel serves. ${lastExit ?? "It is being started."}`);
  else if (misses > 0)
    problems.push(
      "frps does not answer: it may be frozen or overloaded. If it stays silent it is killed and started again within ten seconds.",
    );
  const scarce = frpsDescriptors.scarce();
  if (scarce !== undefined)
    problems.push(
      `frps has ${scarce.open} of ${scarce.limit} file descriptors open: beyond that no client and no visitor gets in. Raise the supervisor's LimitNOFILE.`,
    );
  return {
    summary: `frps is ${state}${pid === undefined ? "" : ` (pid ${pid}${adopted ? ", taken over" : ""})`}, ${count(restarts, "restart")}`,
    facts: {
      frps: state,
      ...(pid === undefined ? {} : { frpsPid: pid }),
      since: since.toISOString(),
      restarts,
      adopted: adopted ? "yes" : "no",
      ...(lastExit === undefined ? {} : { lastExit }),
      ...(replaced === undefined ? {} : { replacedFor: replaced }),
    },
    problems,
  };
}

/** A socket that was handed over may be on a port that the others do not know of: nobody would ever come. */
function describeWrongPort(foundation: Foundation, key: string, port: number, who: string): string[] {
  const known = foundation.portOf(key);
  return port === known
    ? []
    : [`it listens on port ${port}, which was handed over, and ${who} port ${known}. Set ${key} to port ${port}, for every part.`];
}

/** Native code, or wasm where that could not be loaded: then checks take three times as long. */
function describeBackends(): string {
  const { secp256k1, ed25519 } = signatureBackends();
  return `secp256k1 ${secp256k1}, Ed25519 ${ed25519}`;
}

/** Tunnels that requests reach, as far as anybody can tell. */
async function countRoutable({ sessions, readStatus }: Pick<Plugin, "sessions" | "readStatus">): Promise<number> {
  let routable = 0;
  for (const { label, connectedAt } of sessions()) {
    if (connectedAt === undefined) continue;
    const status = await readStatus(label);
    if (status.status === "connected" && status.routable) routable += 1;
  }
  return routable;
}

const perSecond = (perMinute: number): number => Math.round(perMinute / 6) / 10;
const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
