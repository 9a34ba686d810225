/**
 * The canary: a tunnel of Keyhole's own whose page is asked for through the edge, every few seconds. If it is answered, a
 * token can be bought, a client is let in, and a visitor reaches an app; if it is not, it says which of these fails. It runs
 * beside the supervisor, which has the binaries and no public traffic, and outlives every restart of the other parts.
 */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { endRecordedProcess, type FrpBinary } from "@keyhole/frp";
import type { CanaryReport, CanaryStage } from "@keyhole/token";
import { dialAddress, requestPublic } from "../own-client/public-request.ts";
import type { Foundation } from "../parts/foundation.ts";
import { isFree } from "../state/ports.ts";
import { canaryAddress } from "./canary-address.ts";
import { type CanaryRound, type CanaryStats, createCanaryRecord } from "./canary-record.ts";
import { type CanaryTunnel, openCanaryTunnel } from "./canary-tunnel.ts";
import { type Responder, startResponder } from "./responder.ts";

/** A canary that flies. Disposing ends its frpc. */
export type Canary = AsyncDisposable & {
  /** Undefined before the first finding. */
  report(): CanaryReport | undefined;
  stats(): CanaryStats;
};

/** The first round waits until whoever has just started has its first seconds behind it. */
const firstRoundMs = 2000;
const answerTimeoutMs = 3000;
const connectTimeoutMs = 3000;
const edgeTimeoutMs = 1000;
/** A token is asked for again after this, so that its own limit (10 a minute) is never what fails. */
const buyPauseMs = 7000;
/** After so long without a login everything is begun anew, since the CA or a port may be others now; after a refusal at once, for its token may be what is refused. */
const giveUpMs = 30_000;

/** Starts the canary, and resolves when what a killed one left running is gone. Undefined when it is switched off. */
export async function startCanary(foundation: Foundation, frpc: FrpBinary): Promise<Canary | undefined> {
  const { config, world, state } = foundation;
  const dir = join(state.path, "canary");
  const log = foundation.component("canary");
  if (!config["canary.enabled"]) {
    await endRecordedProcess(join(dir, "frpc.json"), { graceMs: 1000 });
    return undefined;
  }
  const intervalMs = config["canary.intervalSeconds"] * 1000;
  const record = createCanaryRecord();
  const stop = new AbortController();
  const { signal } = stop;
  const edge = {
    ...(await dial(config["edge.listen"].host)),
    port: foundation.portOf("edge.listen"),
    isHttps: config["edge.certFile"] !== undefined,
  };
  let tunnel: CanaryTunnel | undefined;
  let responder: Responder | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let tokenFailure = "no token was to be had";
  let loginFailingSince: number | undefined;

  const open = async (): Promise<{ readonly tunnel: CanaryTunnel; readonly responder: Responder }> => {
    responder ??= await startResponder(world.randomBytes(32));
    tunnel ??= openCanaryTunnel({
      dir,
      frpc,
      edge,
      control: { ...(await dial(config["control.listen"].host)), port: foundation.portOf("control.listen") },
      domain: config.domain,
      productName: config["token.productName"],
      now: world.now,
      randomBytes: world.randomBytes,
      signal,
      log,
    });
    return { tunnel, responder };
  };

  /** The edge answers for a name that nobody has by itself, whatever else is down. */
  const isEdgeThere = (): Promise<boolean> =>
    requestPublic({ edge, host: `canary.${config.domain}`, path: "/", timeoutMs: edgeTimeoutMs }).then(
      () => true,
      () => false,
    );

  async function fly(): Promise<CanaryRound> {
    let stage: CanaryStage = "token";
    try {
      const parts = await open();
      if (parts.tunnel.isTokenDue()) {
        if (performance.now() - triedAt < buyPauseMs) throw new Error(tokenFailure);
        triedAt = performance.now();
        await parts.tunnel.buyToken(parts.responder.port);
      }
      stage = "login";
      await parts.tunnel.connect(connectTimeoutMs);
      loginFailingSince = undefined;
      stage = "answer";
      const question = Buffer.from(world.randomBytes(16)).toString("base64url");
      const startedAt = performance.now();
      const answer = await requestPublic({ edge, host: parts.tunnel.host, path: `/${question}`, timeoutMs: answerTimeoutMs, signal });
      if (answer.status !== 200 || answer.body !== parts.responder.answerTo(question))
        throw new Error(`its page was answered ${answer.status} ${answer.body.slice(0, 200)}`);
      return { ms: performance.now() - startedAt };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (stage === "token") tokenFailure = reason;
      if (stage === "login") await considerGivingUp();
      const isEdgeSilent = !signal.aborted && !(await isEdgeThere());
      return { stage: isEdgeSilent ? "edge" : stage, reason };
    }
  }

  async function considerGivingUp(): Promise<void> {
    loginFailingSince ??= performance.now();
    const isDue = tunnel?.isRefused() === true || performance.now() - loginFailingSince >= giveUpMs;
    if (!isDue || performance.now() - triedAt < buyPauseMs) return;
    loginFailingSince = undefined;
    await tunnel?.giveUp();
  }

  async function run(): Promise<void> {
    let restMs = Math.min(firstRoundMs, intervalMs);
    while (!signal.aborted) {
      await wait(restMs, undefined, { signal }).catch(() => undefined);
      restMs = intervalMs;
      if (signal.aborted) return;
      const round = await fly();
      if (signal.aborted) return;
      const change = record.note(round, world.now());
      if (change === "failing" && "stage" in round)
        log.warn(
          { event: "canary.failing", stage: round.stage, reason: round.reason },
          `the canary fails (${round.stage}): ${round.reason}`,
        );
      else if (change === "ok" && "ms" in round) log.info({ event: "canary.ok", ms: Math.round(round.ms) }, "the canary is answered");
    }
  }

  const running = run();
  return {
    report: record.report,
    stats: record.stats,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await tunnel?.[Symbol.asyncDispose]();
      await responder?.[Symbol.asyncDispose]();
    },
  };
}

/** How to reach who listens there, from our own address where this machine has it. */
async function dial(listen: string): Promise<{ readonly host: string; readonly localAddress?: string }> {
  const host = dialAddress(listen);
  return host.startsWith("127.") && (await isFree(canaryAddress, 0)) ? { host, localAddress: canaryAddress } : { host };
}
