/**
 * Port 7000: TLS for frpc ends here (DESIGN.md §1), and a plain TCP connection goes on to frps on loopback. frps knows the
 * client by the outgoing connection's own address, so that address is written down together with the true source *before*
 * the first byte is passed: by the time the plugin sees a Login, `connectionOf` knows the connection, and gives it a name
 * that is never used again (ports are). Closed without an answer: what comes from a blocked network, what its address has
 * too many of, what does not speak TLS, what speaks HTTP inside it, and what nobody claims.
 */
import { connect, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ControlConnection, Label } from "@keyhole/core";
import { printEndpoint } from "./addresses.ts";
import { type ControlOrigin, keepAliveMs, openControlEntrance } from "./control-entrance.ts";
import { type ControlLimits, createControlDoorkeeper } from "./control-limits.ts";
import { joinSockets } from "./join-sockets.ts";
import type { ListenOn } from "./listen.ts";
import type { Log } from "./log.ts";
import { refuseHttp } from "./refuse-http.ts";

const connectMs = 3000;
/** frpc logs in as soon as it is connected; who has no session by then only keeps a connection of ours and of frps. */
const defaultClaimTimeoutMs = 15_000;

export type ControlListener = {
  readonly port: number;
  cut(connectionId: string): boolean;
  /** Ends every connection, on both sides, that comes from a network that is blocked by now. Tells how many were there. */
  cutBlocked(): number;
  claim(connectionId: string, session: { readonly holder: string; readonly label: Label }): void;
  release(connectionId: string): void;
  keepOnly(holders: ReadonlySet<string>): void;
  claimedBy(holder: string): string | undefined;
  connectionOf(clientAddress: string): ControlConnection | undefined;
  connections(): number;
  /** What the limits of an address turned away. */
  refusals(): { readonly connections: number; readonly logins: number };
  bytes(): { readonly in: number; readonly out: number };
  /** Stops accepting; what is connected stays. */
  close(): void;
  [Symbol.dispose](): void;
};

type Pair = ControlOrigin & {
  readonly id: string;
  readonly clientAddress: string;
  readonly client: TLSSocket;
  readonly frps: Socket;
  /** Ends the pair while it is nobody's. */
  unclaimed: NodeJS.Timeout | undefined;
  holder: string | undefined;
  label: Label | undefined;
};

export async function startControlListener(options: {
  readonly listen: ListenOn;
  readonly certFile: string;
  readonly keyFile: string;
  readonly frps: { readonly host: string; readonly port: number };
  readonly limits: ControlLimits;
  readonly isBlocked: (address: string) => boolean;
  readonly claimTimeoutMs?: number;
  /** The last connection that was claimed for a label has ended, whoever ended it. */
  readonly onLost: (label: Label) => void;
  readonly now: () => Date;
  readonly log: Log;
}): Promise<ControlListener> {
  const { log } = options;
  const doorkeeper = createControlDoorkeeper(options.limits, options);
  /** Open pairs by the name that is never given twice, and by the address under which frps knows them while they are open. */
  const pairs = new Map<string, Pair>();
  const byAddress = new Map<string, Pair>();
  /** Open claimed pairs of each holder, the newest last: more than one while a client replaces a connection that is half-open. */
  const byHolder = new Map<string, Pair[]>();
  const run = options.now().getTime().toString(36);
  let count = 0;
  const bytes = { in: 0, out: 0 };

  /** Claimed pairs of each label. Tells how many are left of the label that the pair had. */
  const counts = new Map<Label, number>();
  const setLabel = (pair: Pair, label: Label | undefined): number => {
    const former = pair.label;
    pair.label = label;
    if (label !== undefined) counts.set(label, (counts.get(label) ?? 0) + 1);
    if (former === undefined) return 0;
    const left = (counts.get(former) ?? 1) - 1;
    if (left === 0) counts.delete(former);
    else counts.set(former, left);
    return left;
  };
  const unclaim = (pair: Pair): void => {
    if (pair.holder === undefined) return;
    const others = (byHolder.get(pair.holder) ?? []).filter((each) => each !== pair);
    if (others.length === 0) byHolder.delete(pair.holder);
    else byHolder.set(pair.holder, others);
  };
  const forget = (pair: Pair): void => {
    clearTimeout(pair.unclaimed);
    pairs.delete(pair.id);
    if (byAddress.get(pair.clientAddress) === pair) byAddress.delete(pair.clientAddress);
    unclaim(pair);
    const { label } = pair;
    if (label !== undefined && setLabel(pair, undefined) === 0) options.onLost(label);
  };
  const end = (pair: Pair): void => {
    forget(pair);
    pair.client.destroy();
    pair.frps.destroy();
  };
  const awaitClaim = (pair: Pair): void => {
    clearTimeout(pair.unclaimed);
    pair.unclaimed = setTimeout(() => {
      log.info({ source: pair.source }, "a control connection was ended: it has no session");
      end(pair);
    }, options.claimTimeoutMs ?? defaultClaimTimeoutMs).unref();
  };
  const release = (pair: Pair): void => {
    unclaim(pair);
    pair.holder = undefined;
    setLabel(pair, undefined);
    awaitClaim(pair);
  };
  const open = (client: TLSSocket, frps: Socket, origin: ControlOrigin): Pair => {
    count += 1;
    const pair: Pair = {
      id: `${run}-${count}`,
      ...origin,
      clientAddress: printEndpoint(frps.localAddress, frps.localPort),
      client,
      frps,
      unclaimed: undefined,
      holder: undefined,
      label: undefined,
    };
    awaitClaim(pair);
    pairs.set(pair.id, pair);
    byAddress.set(pair.clientAddress, pair);
    return pair;
  };

  const accept = (client: TLSSocket, origin: ControlOrigin): void => {
    const { source } = origin;
    const frps = connect({
      host: options.frps.host,
      port: options.frps.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      allowHalfOpen: true,
    });
    const giveUp = setTimeout(() => frps.destroy(), connectMs).unref();
    let pair: Pair | undefined;
    frps.on("error", (error) => log.debug({ reason: error.message }, "the connection to frps failed"));
    frps.on("connect", () => {
      clearTimeout(giveUp);
      if (client.destroyed) {
        frps.destroy();
        return;
      }
      const opened = open(client, frps, origin);
      pair = opened;
      joinSockets(client, frps, {
        fromOne: (count) => {
          bytes.in += count;
        },
        fromOther: (count) => {
          bytes.out += count;
        },
        admitFromOne: refuseHttp(() => {
          log.info({ source }, "a control connection was ended: it spoke HTTP");
          end(opened);
        }),
      });
    });
    frps.on("close", () => {
      clearTimeout(giveUp);
      if (pair === undefined) client.destroy();
      else forget(pair);
    });
    client.on("close", () => {
      if (pair === undefined) frps.destroy();
    });
  };

  const entrance = await openControlEntrance({
    listen: options.listen,
    certFile: options.certFile,
    keyFile: options.keyFile,
    doorkeeper,
    onClient: accept,
    now: options.now,
    log,
  });
  return {
    port: entrance.port,
    cut(connectionId) {
      const pair = pairs.get(connectionId);
      if (pair === undefined) return false;
      end(pair);
      log.info({ clientAddress: pair.clientAddress, source: pair.source }, "a control connection was cut");
      return true;
    },
    cutBlocked() {
      const unwanted = [...pairs.values()].filter(({ address }) => options.isBlocked(address));
      for (const pair of unwanted) end(pair);
      entrance.end(options.isBlocked);
      return unwanted.length;
    },
    claim(connectionId, { holder, label }) {
      const pair = pairs.get(connectionId);
      if (pair === undefined) return;
      clearTimeout(pair.unclaimed);
      unclaim(pair);
      pair.holder = holder;
      setLabel(pair, label);
      byHolder.set(holder, [...(byHolder.get(holder) ?? []), pair]);
    },
    release(connectionId) {
      const pair = pairs.get(connectionId);
      if (pair !== undefined) release(pair);
    },
    keepOnly(holders) {
      for (const pair of pairs.values()) if (pair.holder !== undefined && !holders.has(pair.holder)) release(pair);
    },
    claimedBy: (holder) => byHolder.get(holder)?.at(-1)?.id,
    connectionOf(clientAddress) {
      const pair = byAddress.get(clientAddress);
      if (pair === undefined) return undefined;
      const retryAfterSeconds = doorkeeper.countLogin(pair.address);
      return { id: pair.id, source: pair.source, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
    },
    connections: () => pairs.size,
    refusals: () => doorkeeper.refusals(),
    bytes: () => ({ ...bytes }),
    close() {
      entrance.close();
    },
    [Symbol.dispose]() {
      for (const pair of [...pairs.values()]) end(pair);
      entrance[Symbol.dispose]();
    },
  };
}
