/**
 * What a writer's chain tells of its own process: that it began and how the one before it ended, with which settings and
 * keys, whom it refused, how far the other chain had come, and that it ended. A kill leaves no end: the next start says so.
 */
import {
  createRefusalSampler,
  type EventDetail,
  type EventEntry,
  type EventWriter,
  Fault,
  type Label,
  type RefusalCode,
} from "@keyhole/core";
import type { EventReader } from "@keyhole/store";
import type { Foundation } from "../parts/foundation.ts";
import { readOr } from "../read-or.ts";
import { createEventOutbox } from "./event-outbox.ts";
import { createKeyWatch } from "./key-watch.ts";
import { deriveSettingsInForce, findChangedSettings, keepLastTold, readLastTold } from "./settings-in-force.ts";
import { parseObject } from "./verify-chain.ts";

/** A chain that is being told of. Disposing tells the end, durably, and is done before the store is closed. */
export type AuditTrail = AsyncDisposable & {
  /** The part that writes this chain refused somebody. Costs next to nothing; never throws. */
  noteRefusal(code: RefusalCode, label: Label | undefined): void;
};

const lookEveryMs = 2000;
const flushEveryMs = 60_000;
const seeEveryMs = 3_600_000;
/** Behind the end of a process only what an operator does by hand is written before the next start. */
const endIsWithin = 64;

/** Tells the start, and whatever comes until it is disposed of. Never rejects for a file that cannot be written: events wait. */
export async function startAuditTrail(options: {
  readonly foundation: Pick<Foundation, "config" | "world" | "state" | "processName">;
  readonly writer: EventWriter;
  readonly log: { warn(fields: object, message: string): void };
  readonly save: (entries: readonly EventEntry[]) => Promise<void>;
  /** The chain itself, and the other one. */
  readonly own: EventReader;
  readonly other: EventReader;
}): Promise<AuditTrail> {
  const { foundation, writer, log, save, own, other } = options;
  const { config, world, state, processName } = foundation;
  const { now } = world;
  const part: EventDetail = { part: processName, version: world.version, pid: world.pid };
  const outbox = createEventOutbox({ save, log });
  const sampler = createRefusalSampler({ surface: writer === "tokens" ? "token" : "hook" });

  const inForce = deriveSettingsInForce(config);
  const last = readLastTold(state.path, writer);
  const keys = createKeyWatch({ stateDir: state.path, writer, told: last?.keys ?? {} });

  /** How far the other chain has come, so that an older file in its place is found. */
  async function seeOther(): Promise<readonly EventEntry[]> {
    const { head } = await readOr({ head: undefined, base: undefined }, () => other.bounds());
    if (head === undefined) return [];
    const seen = {
      writer: writer === "tokens" ? "sessions" : "tokens",
      sequence: head.sequence,
      hash: Buffer.from(head.hash).toString("hex"),
    };
    return [{ at: now(), event: "checkpoint.seen", detail: seen }];
  }

  /** An end is the last word of a process: where it is not among the newest events, there was none. */
  async function readFormerEnd(): Promise<EventDetail> {
    const newest = await readOr([], () => own.before(Number.MAX_SAFE_INTEGER, endIsWithin));
    const word = newest.find(({ event }) => event === "process.started" || event === "process.stopped");
    return newest.length === 0 ? {} : { afterStop: word?.event === "process.stopped" };
  }

  async function tellSettings(): Promise<readonly EventEntry[]> {
    const before = last?.digest ?? (await readFormerDigest(own));
    if (before === undefined || before === inForce.digest) return [];
    const names = last === undefined ? null : findChangedSettings(last, inForce).join(" ");
    return [{ at: now(), event: "config.changed", detail: { from: before, to: inForce.digest, settings: names } }];
  }

  let isKept = false;
  /** Not before it is durable: what was never written must be told by the next start. */
  async function keep(): Promise<void> {
    if (isKept || !(await outbox.flush())) return;
    isKept = true;
    try {
      keepLastTold(state.path, writer, { ...inForce, keys: keys.told() });
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      log.warn({ event: "settings.unkept", code: fault.code }, fault.message);
    }
  }

  outbox.put([
    { at: now(), event: "process.started", detail: { ...part, config: inForce.digest, ...(await readFormerEnd()) } },
    ...(await tellSettings()),
    ...keys.look(now()),
    ...(await seeOther()),
  ]);
  await keep();

  let [flushedAt, seenAt] = [now().getTime(), now().getTime()];
  const isDue = (since: number, everyMs: number): boolean => Math.abs(now().getTime() - since) >= everyMs;
  async function look(): Promise<void> {
    const changed = keys.look(now());
    outbox.put(changed);
    if (changed.length > 0) isKept = false;
    await keep();
    if (isDue(flushedAt, flushEveryMs)) {
      flushedAt = now().getTime();
      outbox.put(sampler.flush(now()));
      await outbox.flush();
    }
    if (isDue(seenAt, seeEveryMs)) {
      seenAt = now().getTime();
      outbox.put(await seeOther());
    }
  }
  let looking = Promise.resolve();
  const timer = setInterval(() => {
    looking = looking
      .then(look)
      .catch((cause: unknown) => log.warn({ cause: String(cause) }, "the chain of events could not be looked after"));
  }, lookEveryMs);
  timer.unref();

  return {
    noteRefusal: (code, label) => outbox.put(sampler.note(code, label, now())),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
      outbox.put([...sampler.drain(now()), ...(await seeOther()), { at: now(), event: "process.stopped", detail: part }]);
      await outbox.flush();
    },
  };
}

/** The settings of the newest start that the chain tells of; what its file said is gone. */
async function readFormerDigest(own: EventReader): Promise<string | undefined> {
  const [started] = await readOr([], () => own.newestOf("process.started", 1));
  const digest = started === undefined ? undefined : parseObject(started.detail)["config"];
  return typeof digest === "string" ? digest : undefined;
}
