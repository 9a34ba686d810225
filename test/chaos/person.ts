/**
 * A person with a wallet and up to two devices, and what their desktop app would do: sign and ask for a token until there
 * is one, keep it fresh, start frpc again when it is gone. Some persons never renew: their time runs out, and a while later
 * they sign again.
 */
import type { KeyholeParts } from "../support/keyhole-parts.ts";
import { domain } from "../support/keyhole-process.ts";
import { makeWallet } from "../support/wallet.ts";
import { ask } from "./ask.ts";
import { awaitInstant } from "./await-instant.ts";
import { type Client, startClient } from "./client.ts";
import { type Grant, now, type ProofUse, type Tell } from "./history.ts";
import type { Prng } from "./prng.ts";

/** Who that is, and what can be done with their devices. */
export type Person = AsyncDisposable & {
  /** Lets time run out. */
  readonly isCareless: boolean;
  readonly label: string;
  readonly host: string;
  /** Runs of frpc that have not ended, in the order of their start. */
  clients(): readonly Client[];
  /** Asks until there is a token; the device files are new then. Nothing when the run is over. */
  renew(): Promise<void>;
  /** Sends a proof again that was spent before. */
  repeatProof(): Promise<void>;
  /** Starts frpc on a device that has none; with two running, the older one is started again. */
  takeOver(isNewer: boolean): Promise<void>;
  stop(client: Client): Promise<void>;
  /** Kills it, and starts it again as a desktop app does. */
  kill(client: Client, restartMs: number): Promise<void>;
  freeze(client: Client, forMs: number): void;
  /** Revokes everything of the wallet, by its own proof or as `order` does it; then signs anew and starts one device. */
  revoke(order: "own" | (() => Promise<void>)): Promise<void>;
  /** Something was ordered of the wallet that moves its clients. */
  noteChange(): void;
  /** When something last happened that moves clients, by our own hand. */
  readonly changedAt: number;
};

type Proof = { readonly body: string; readonly at: number; hasToken: boolean };

const askTimeoutMs = 8000;
/** Further ahead of the clock than this nobody signs. */
const mostAheadMs = 10_000;
const againMs = 200;
/** A file with less left is asked for anew before frpc is started on it. */
const leastLeftSeconds = 12;
const proofLifeMs = 60_000;

/** Opens one. `renewsAfterMs` undefined: never in time. */
export function openPerson(
  keyhole: KeyholeParts,
  options: {
    readonly name: string;
    readonly random: Prng;
    readonly renewsAfterMs: number | undefined;
    readonly tell: Tell;
    readonly signal: AbortSignal;
  },
): Person {
  const { name, random, tell, signal, renewsAfterMs } = options;
  const wallet = makeWallet();
  const { label } = wallet;
  const devices: { readonly name: string; client: Client | undefined; runs: number; fileEndsAt: number }[] = ["a", "b"].map((device) => ({
    name: `${name}${device}`,
    client: undefined,
    runs: 0,
    fileEndsAt: 0,
  }));
  let newest: (Grant & { readonly file: string }) | undefined;
  let proofs: Proof[] = [];
  let lastTimestamp = Math.floor(now() / 1000) - 120;
  let changedAt = now();
  let turn: Promise<unknown> = Promise.resolve();
  const timers = new Set<NodeJS.Timeout>();
  const posted = new Set<string>();
  const running = (): Client[] =>
    devices
      .flatMap(({ client }) => (client === undefined || client.hasEnded ? [] : [client]))
      .sort((one, other) => one.startedAt - other.startedAt);

  async function send(proof: Proof, use: ProofUse): Promise<number> {
    tell({ kind: "token-asked", at: now(), label });
    const askedAt = now();
    const { outcome, body } = await ask({
      port: keyhole.edgePort,
      host: domain,
      path: "/v1/tunnel/token?port=1",
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/toml" },
      body: proof.body,
      timeoutMs: askTimeoutMs,
    });
    const grant = outcome.kind === "answered" && outcome.status === 200 ? readGrant(body) : undefined;
    if (grant !== undefined) {
      proof.hasToken = true;
      if (newest === undefined || grant.issuedAt > newest.issuedAt) newest = { ...grant, file: body };
    }
    tell({
      kind: "token-answered",
      at: now(),
      askedAt,
      label,
      proof: use,
      outcome,
      ...(grant === undefined ? {} : { grant: { issuedAt: grant.issuedAt, expiresAt: grant.expiresAt } }),
    });
    return outcome.kind === "answered" ? outcome.status : 0;
  }

  /** Each proof has a second of its own; who is refused again and again waits for the clock. */
  async function nextTimestamp(): Promise<void> {
    lastTimestamp = Math.max(lastTimestamp + 1, Math.floor(now() / 1000) - 100);
    await awaitInstant(lastTimestamp * 1000 - mostAheadMs, signal);
  }

  async function awaitToken(): Promise<void> {
    while (!signal.aborted) {
      await nextTimestamp();
      const proof: Proof = { body: JSON.stringify(wallet.prove(lastTimestamp)), at: now(), hasToken: false };
      proofs = [...proofs.filter(({ at }) => at > now() - proofLifeMs), proof];
      const status = await send(proof, "fresh");
      if (status === 200) return;
      await awaitInstant(now() + (status === 429 ? 1100 : againMs), signal);
    }
  }

  /** Until it is acknowledged. */
  async function revokeOwn(): Promise<void> {
    const askedAt = now();
    tell({ kind: "order-asked", at: askedAt, label, what: "owner-revoke" });
    while (!signal.aborted) {
      await nextTimestamp();
      const { outcome } = await ask({
        port: keyhole.edgePort,
        host: domain,
        path: "/v1/tunnel/revoke",
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(wallet.proveRevocation(lastTimestamp)),
        timeoutMs: askTimeoutMs,
      });
      const status = outcome.kind === "answered" ? outcome.status : 0;
      if (status === 200 || status === 202) {
        tell({ kind: "order-answered", at: now(), askedAt, label, what: "owner-revoke", isEnforced: status === 200 });
        return;
      }
      await awaitInstant(now() + againMs, signal);
    }
  }

  async function renew(): Promise<void> {
    const hadExpired = newest === undefined || newest.expiresAt * 1000 < now();
    await awaitToken();
    if (hadExpired) changedAt = now();
    // It knows only its first file; whoever has a ticket needs no other. Who came too late with it would never get in.
    for (const device of devices) {
      const { client, fileEndsAt } = device;
      if (client !== undefined && !client.hasEnded && !client.wasEstablished && fileEndsAt < now()) {
        await client.end("stopped");
        await start(device);
      }
    }
  }

  async function start(device: (typeof devices)[number]): Promise<void> {
    if (newest === undefined || newest.expiresAt * 1000 < now() + leastLeftSeconds * 1000) await awaitToken();
    if (signal.aborted || newest === undefined) return;
    device.runs += 1;
    const { file, issuedAt, expiresAt } = newest;
    device.fileEndsAt = expiresAt * 1000;
    device.client = await startClient(keyhole, { id: `${device.name}${device.runs}`, label, file, issuedAt, posted, tell });
    changedAt = now();
  }

  /** One thing at a time: a person has two hands, and one wallet that asks. */
  const inTurn = (deed: () => Promise<void>): Promise<void> => {
    const done = turn.then(async () => {
      if (!signal.aborted) await deed();
    });
    turn = done.catch(() => {});
    return done;
  };
  const deviceOf = (client: Client): (typeof devices)[number] | undefined => devices.find((device) => device.client === client);

  const later = (ms: number, deed: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      deed();
    }, ms);
    timers.add(timer);
  };
  const keepFresh = (): void => {
    // Who does not renew in time is missed for a while, and comes back.
    const at =
      newest === undefined ? now() : renewsAfterMs === undefined ? newest.expiresAt * 1000 + 6000 : newest.issuedAt * 1000 + renewsAfterMs;
    later(Math.max(100, at - now()) + random.between(0, 5000), () => {
      if (signal.aborted) return;
      const isDue =
        newest !== undefined &&
        now() >= (renewsAfterMs === undefined ? newest.expiresAt * 1000 + 6000 : newest.issuedAt * 1000 + renewsAfterMs);
      void (isDue ? inTurn(renew) : Promise.resolve()).catch(() => {}).then(keepFresh);
    });
  };
  keepFresh();

  return {
    isCareless: renewsAfterMs === undefined,
    label,
    host: `${label}.${domain}`,
    clients: running,
    get changedAt() {
      return changedAt;
    },
    renew: () => inTurn(renew),
    repeatProof: () =>
      inTurn(async () => {
        const usable = proofs.filter(({ at }) => at > now() - proofLifeMs);
        if (usable.length === 0) return;
        const proof = random.pick(usable);
        await send(proof, proof.hasToken ? "again-after-token" : "again-after-silence");
      }),
    takeOver: (isNewer) =>
      inTurn(async () => {
        if (isNewer) await renew();
        const device = devices.find(({ client }) => client === undefined || client.hasEnded) ?? deviceOf(running()[0] as Client);
        if (device === undefined) return;
        await device.client?.end("stopped");
        await start(device);
      }),
    stop: (client) =>
      inTurn(async () => {
        await client.end("stopped");
        changedAt = now();
      }),
    kill: async (client, restartMs) => {
      const device = deviceOf(client);
      const dead = client.end("killed");
      changedAt = now();
      await dead;
      await inTurn(async () => {
        await awaitInstant(now() + restartMs, signal);
        if (device !== undefined && device.client === client) await start(device);
      });
    },
    freeze(client, forMs) {
      client.freeze();
      changedAt = now();
      later(forMs, () => {
        client.thaw();
        changedAt = now();
      });
    },
    revoke: (order) =>
      inTurn(async () => {
        await (order === "own" ? revokeOwn() : order());
        // What was signed before is worth nothing any more, and so are the files.
        lastTimestamp = Math.max(lastTimestamp, Math.floor(now() / 1000));
        newest = undefined;
        for (const client of running()) await client.end("stopped");
        const [device] = devices;
        if (device !== undefined) await start(device);
        changedAt = now();
      }),
    noteChange() {
      changedAt = now();
    },
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      await turn;
      await Promise.all(running().map((client) => client.end("killed")));
    },
  };
}

/** Token and time from the file that the service answers with. */
function readGrant(file: string): Grant {
  const issuedAt = Number(/"?frp_[A-Za-z0-9]+_(\d+)_[0-9a-f]{64}/.exec(file)?.[1]);
  const expiresAt = Date.parse(/good until ([0-9TZ:.+-]+);/.exec(file)?.[1] ?? "") / 1000;
  return { issuedAt, expiresAt };
}
