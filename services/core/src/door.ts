/**
 * Port: what the plugin may ask of the edge. The edge keeps live, last-seen and blocked labels and blocked networks itself,
 * so that it can answer honestly with nothing else of ours alive. One adapter implements it (`createDoor` in services/edge),
 * is composed by the cli into the plugin's process, and is the only writer of the map files.
 */
import type { Label } from "./label.ts";
import type { Network } from "./network.ts";

/** A label that is served now, and since when. */
export type LiveEntry = { readonly label: Label; readonly since: Date };

/** Why a label leaves the live map: `offline` may come back at once (requests are held), `ended` may not. */
export type LeaveReason = "offline" | "ended";

/** Everything the plugin knows that the edge must know: the whole content of the maps. */
export type DoorState = {
  readonly live: readonly LiveEntry[];
  readonly lastSeen: ReadonlyMap<Label, Date>;
  readonly blocked: ReadonlySet<Label>;
  readonly blockedNetworks: ReadonlySet<Network>;
};

/**
 * A client's connection to the control port: a name that is never given twice, and the true address (`ip:port`) of the
 * client. `retryAfterSeconds` is there when that address logs in more often than it may: the login is to be refused.
 */
export type ControlConnection = { readonly id: string; readonly source: string; readonly retryAfterSeconds?: number };

/** Why a request did not reach the app of a live label, as the edge saw it. */
export const edgeFailures = ["APP_UNREACHABLE", "APP_TIMEOUT", "CLIENT_LOST", "SERVER_UNREACHABLE"] as const;
/** One of `edgeFailures`. */
export type EdgeFailure = (typeof edgeFailures)[number];

/** What the edge saw last of a live label. `failure` undefined: its app answered then, and nothing has failed since. */
export type EdgeEvidence = { readonly label: Label; readonly at: Date; readonly failure: EdgeFailure | undefined };

/** What changed after the cursor that was given, at most a thousand labels; `isMore` says that there is more after this one. */
export type EvidenceReport = { readonly cursor: string; readonly evidence: readonly EdgeEvidence[]; readonly isMore: boolean };

/**
 * What the plugin may ask of the edge. Every method resolves when the map file and the running edge both know. An edge that
 * is away (it is being restarted) fails nothing but a block it cannot promise, and a question it cannot answer: what changed
 * is in the files, and the plugin pushes everything once an edge is there again. A cut resolves to false then.
 */
export type Door = {
  /** The label is served from now on. Requests that meet frps before the proxy is registered are held, not failed. */
  put(entry: LiveEntry): Promise<void>;
  /** The label is not served any more; `lastSeen` is shown to visitors to the hour. */
  delete(label: Label, leave: { readonly lastSeen: Date; readonly reason: LeaveReason }): Promise<void>;
  /** Replaces everything (at start, and when a new edge process is seen). */
  replaceAll(state: DoorState): Promise<void>;
  /** Another session is about to take the label over: hold what breaks, for at most 1.5 s. */
  handOver(label: Label): Promise<void>;
  /** 403 for every request from now on, live or not. */
  block(label: Label): Promise<void>;
  unblock(label: Label): Promise<void>;
  /**
   * 403 for every visitor of this network from now on, on every host, and no control connection from it. What is open from
   * it, visitors and clients alike, is ended at once. As durable as `block`.
   */
  blockNetwork(network: Network): Promise<void>;
  /** Takes back the block of exactly this network: what another blocked network covers too stays blocked. */
  unblockNetwork(network: Network): Promise<void>;
  /**
   * The connection that frps knows as `clientAddress` (`ip:port`, frp's `client_address`) at this moment; undefined when the
   * edge has none: the client has left. Ask at Login and keep the id: ports are used again, so an address names nobody
   * afterwards. Throws `Fault("EDGE_UNREACHABLE")` when nobody can tell.
   */
  connectionOf(clientAddress: string): Promise<ControlConnection | undefined>;
  /**
   * A session of this label was admitted on this connection. One that nobody claims is ended soon after it was opened. The
   * edge remembers `holder` (no secret, at most 64 characters) for as long as the connection lives. Its end is the first
   * anybody hears of a client that is gone, or of frps: from then on the label's requests are held, as at a hand-over.
   */
  claim(connectionId: string, session: { readonly holder: string; readonly label: Label }): Promise<void>;
  /** The session on this connection has ended. A client may log in or open its tunnel again on it; a connection that nobody claims again soon is ended. */
  release(connectionId: string): Promise<void>;
  /** These are all the holders there are: what was claimed for anybody else is released. What this process does not know of ended while nobody could tell. */
  keepOnly(holders: ReadonlySet<string>): Promise<void>;
  /** The newest connection that was claimed for this holder and still lives: so a plugin that was restarted can cut what it adopts. */
  claimedBy(holder: string): Promise<string | undefined>;
  /**
   * What the edge has seen since the report with this cursor; from the beginning with none, or one of another edge. A first answer, a failure and an
   * answer after it are told, each until a later cursor is given; what was seen of a label ends when it is put or deleted.
   * Undefined when the edge is away.
   */
  readEvidence(cursor: string | undefined): Promise<EvidenceReport | undefined>;
  /** Ends this connection on both sides. False when it is gone already. */
  cut(connectionId: string): Promise<boolean>;
};
