/**
 * What a writer's chain tells of its own process: that it began and how the one before it ended, with which settings and
 * keys, whom it refused, how far the other chain had come, and that it ended. A kill leaves no end: the next start says so.
 */
import {
  createRefusalSampler,
  type EventDetail,
  type EventEntry,
  type EventRecord,
  type EventWriter,
  Fault,
  type Label,
  type RefusalCode,
} from "@keyhole/core";
import type { EventReader } from "@keyhole/store";
import type { Foundation } from "../parts/foundation.ts";
import { createEventOutbox } from "./event-outbox.ts";
import { createKeyWatch } from "./key-watch.ts";
import { deriveSettingsInForce, findChangedSettings, keepSettings, readFormerSettings } from "./settings-in-force.ts";

/** A chain that is being told of. Disposing tells the end, durably, and is done before the store is closed. */
export type AuditTrail = AsyncDisposable & {
  /** The part that writes this chain refused somebody. Costs next to nothing; never throws. */
  noteRefusal(code: RefusalCode, label: Label | undefined): void;
};

const lookEveryMs = 2000;
const flushEveryMs = 60_000;
const seeEveryMs = 3_600_000;

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

  const started = (await readOr([], () => own.newestOf("process.started", 1)))[0];
  const stopped = (await readOr([], () => own.newestOf("process.stopped", 1)))[0];
  const told = await readOr([], () => own.newestOf("keys.changed", 64));
  const watchKeys = createKeyWatch({ stateDir: state.path, writer, told: told.map(readDetail) });

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

  function tellSettings(): readonly EventEntry[] {
    const former = readFormerSettings(state.path, writer);
    const before = started === undefined ? undefined : readDetail(started)["config"];
    if (typeof before !== "string" || before === inForce.digest) return [];
    const names = former?.digest === before ? findChangedSettings(former, inForce).join(" ") : null;
    return [{ at: now(), event: "config.changed", detail: { from: before, to: inForce.digest, settings: names } }];
  }

  const inForce = deriveSettingsInForce(config);
  const afterStop = started === undefined ? {} : { afterStop: stopped !== undefined && stopped.sequence > started.sequence };
  outbox.put([
    { at: now(), event: "process.started", detail: { ...part, config: inForce.digest, ...afterStop } },
    ...tellSettings(),
    ...watchKeys(now()),
    ...(await seeOther()),
  ]);
  await outbox.flush();
  try {
    keepSettings(state.path, writer, inForce);
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    log.warn({ event: "settings.unkept", code: fault.code }, fault.message);
  }

  let [flushedAt, seenAt] = [now().getTime(), now().getTime()];
  const isDue = (since: number, everyMs: number): boolean => Math.abs(now().getTime() - since) >= everyMs;
  async function look(): Promise<void> {
    outbox.put(watchKeys(now()));
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

/** What cannot be read now is as good as not there: nothing may keep a part from starting that only tells of it. */
async function readOr<Answer>(absent: Answer, read: () => Promise<Answer>): Promise<Answer> {
  try {
    return await read();
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    return absent;
  }
}

/** The facts of a row; none where they are no object. */
function readDetail({ detail }: EventRecord): EventDetail {
  try {
    const value: unknown = JSON.parse(detail);
    return typeof value === "object" && value !== null ? (value as EventDetail) : {};
  } catch {
    return {};
  }
}
