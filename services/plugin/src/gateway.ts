/**
 * Asks the gateway which owner has registered a server. One configured base address and nothing else: no redirect is
 * followed, an answer has a bound in size and in time, and what does not have exactly the form of an answer is none. A
 * login waits for a part of that time only; the look-up goes on and fills the cache for the next one.
 */
import { parseIdentity, parseStrictJson, printIdentity } from "@keyhole/core";
import { withinTime } from "./answer-time.ts";
import { type BreakerState, createCircuitBreaker } from "./circuit-breaker.ts";
import type { Log } from "./log.ts";
import type { Registration } from "./registration-rule.ts";

/** The gateway, as a login asks it. */
export type Gateway = {
  /** What it says about this address (`0x`, lower case): from memory, or within 600 ms, or not yet. Never rejects. */
  find(address: string): Promise<Registration>;
  state(): BreakerState;
  /** Ends what is under way. */
  close(): void;
};

const waitMs = 600;
const lookUpMs = 2000;
const maxBodyBytes = 64 * 1024;
/** How long an answer counts, in ms: of a server that may serve, and any other. */
const keptMs = { good: 60_000, bad: 5000 };
const maxKept = 10_000;
/** So many look-ups at a time; who comes later asks again. */
const maxUnderWay = 64;
const breakerSettings = { failures: 5, openMs: 10_000 };

type Kept = { readonly said: Registration; readonly saidAtMs: number };

/** Makes the client. `baseUrl` is http or https; a path in it is kept. */
export function createGateway(deps: { readonly baseUrl: string; readonly now: () => Date; readonly log: Log }): Gateway {
  const { now, log } = deps;
  const base = `${deps.baseUrl.replace(/\/+$/, "")}/v1/servers/`;
  const stop = new AbortController();
  const breaker = createCircuitBreaker(breakerSettings);
  const kept = new Map<string, Kept>();
  /** One look-up an address at a time. */
  const underWay = new Map<string, Promise<Registration>>();

  function remember(address: string, said: Registration): void {
    kept.delete(address);
    kept.set(address, { said, saidAtMs: now().getTime() });
    if (kept.size > maxKept) kept.delete(kept.keys().next().value ?? address);
  }

  /** Of a clock that was set back since then nothing is believed. */
  function counts({ said, saidAtMs }: Kept): boolean {
    const isGood = said.kind === "registered" && !said.isRevoked;
    return Math.abs(now().getTime() - saidAtMs) < (isGood ? keptMs.good : keptMs.bad);
  }

  async function lookUp(address: string): Promise<Registration> {
    try {
      const said = await ask(`${base}${printAddress(address)}`, address, stop.signal);
      breaker.succeed();
      remember(address, said);
      return said;
    } catch (cause) {
      breaker.fail(now());
      // No address and no body of whoever answered: what went wrong, in our words or in fetch's.
      log.warn({ event: "gateway.failed", cause: String(cause), state: breaker.state(now()) }, "the gateway did not answer a question");
      remember(address, { kind: "down" });
      return { kind: "down" };
    }
  }

  return {
    async find(address) {
      const former = kept.get(address);
      if (former !== undefined && counts(former)) return former.said;
      let work = underWay.get(address);
      if (work === undefined) {
        if (underWay.size >= maxUnderWay) return { kind: "pending" };
        if (!breaker.pass(now())) return { kind: "down" };
        work = lookUp(address).finally(() => underWay.delete(address));
        underWay.set(address, work);
      }
      return await withinTime(work, waitMs, { kind: "pending" });
    },
    state: () => breaker.state(now()),
    close: () => stop.abort(new Error("the plugin is being stopped")),
  };
}

/** As the real client writes it: EIP-55. */
function printAddress(address: string): string {
  const identity = parseIdentity(address);
  return identity.granted ? printIdentity(identity.value) : address;
}

/** Throws whenever the answer is not one of the three that the gateway gives. */
async function ask(url: string, address: string, stop: AbortSignal): Promise<Registration> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(lookUpMs)]);
  const response = await fetch(url, {
    redirect: "manual",
    signal,
    headers: { Accept: "application/json", "Accept-Encoding": "identity", "User-Agent": "keyhole" },
  });
  try {
    if (response.status === 404) return { kind: "unknown" };
    if (response.status !== 200) throw new Error(`the gateway answered with status ${response.status}`);
    return parseAnswer(await readBody(response), address);
  } finally {
    // What was not read is not wanted.
    await response.body?.cancel().catch(() => {});
  }
}

async function readBody(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maxBodyBytes) throw new Error("the gateway's answer is larger than 64 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** `{"data": {"ownerAddress", "serverAddress", "revokedAt", …}, …}`, about the address that was asked for. */
function parseAnswer(body: Uint8Array, address: string): Registration {
  const read = parseStrictJson(body);
  const data = read.kind === "value" ? member(read.value, "data") : undefined;
  const [owner, server, revokedAt] = [member(data, "ownerAddress"), member(data, "serverAddress"), member(data, "revokedAt")];
  if (!isAddress(owner) || !isAddress(server) || revokedAt === undefined) throw new Error("the gateway's answer does not have its form");
  if (server.toLowerCase() !== address) throw new Error("the gateway answered about another server");
  return { kind: "registered", owner: owner.toLowerCase(), isRevoked: revokedAt !== null };
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;

const isAddress = (value: unknown): value is string => typeof value === "string" && /^0x[0-9a-fA-F]{40}$/.test(value);
