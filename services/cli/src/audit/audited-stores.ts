/**
 * The two stores as a part opens them: their events signed with the writer's own key, kept as long as is configured, and with
 * what the process itself has to tell.
 */
import { join } from "node:path";
import type { EventEntry, EventWriter, SessionStore, TokenReader, TokenStore } from "@keyhole/core";
import { Fault } from "@keyhole/core";
import { type EventReader, type EventSettings, openEventReader, openSessionStore, openTokenStore, type TimeCommit } from "@keyhole/store";
import type { Foundation } from "../parts/foundation.ts";
import { openCheckpointSigner, openEndJudge, openKeptSigner } from "../state/audit-key.ts";
import { type AuditTrail, startAuditTrail } from "./audit-trail.ts";

/** tokens.db, with its trail. Closed together, the trail first. */
export type AuditedTokenStore = AsyncDisposable & { readonly tokens: TokenStore & TokenReader; readonly trail: AuditTrail };

/** sessions.db, with its trail. */
export type AuditedSessionStore = AsyncDisposable & { readonly sessions: SessionStore; readonly trail: AuditTrail };

/** Opens tokens.db as its one writer. Throws the faults of the store, and `KEYS_UNREADABLE`. */
export async function openAuditedTokenStore(foundation: Foundation, timeCommit?: TimeCommit): Promise<AuditedTokenStore> {
  const { store, ...rest } = await openAudited(foundation, "tokens", (options) =>
    openTokenStore({ ...options, ...(timeCommit && { timeCommit }) }),
  );
  return { tokens: store, ...rest };
}

/** Opens sessions.db as its one writer. Throws the faults of the store, and `KEYS_UNREADABLE`. */
export async function openAuditedSessionStore(foundation: Foundation, timeCommit?: TimeCommit): Promise<AuditedSessionStore> {
  const { store, ...rest } = await openAudited(foundation, "sessions", (options) =>
    openSessionStore({ ...options, ...(timeCommit && { timeCommit }) }),
  );
  return { sessions: store, ...rest };
}

type Store = AsyncDisposable & { saveEvents(entries: readonly EventEntry[]): Promise<void> };
type OpenStore<Opened> = (options: { path: string; log: ReturnType<Foundation["component"]>; events: EventSettings }) => Promise<Opened>;

async function openAudited<Opened extends Store>(foundation: Foundation, writer: EventWriter, open: OpenStore<Opened>) {
  const { state, component } = foundation;
  const path = join(state.path, `${writer}.db`);
  const log = component("store");
  await using stack = new AsyncDisposableStack();
  const openReader = (of: EventWriter): EventReader => stack.use(openEventReader({ path: join(state.path, `${of}.db`), writer: of }));
  const events = await openEventSettings(foundation, writer);
  const store = stack.use(await open({ path, log, events }));
  const [own, other] = [openReader(writer), openReader(writer === "tokens" ? "sessions" : "tokens")];
  const trail = stack.use(await startAuditTrail({ foundation, writer, log, save: (entries) => store.saveEvents(entries), own, other }));
  const running = stack.move();
  return { store, trail, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function openEventSettings(foundation: Foundation, writer: EventWriter): Promise<EventSettings> {
  const { config, world, state, component } = foundation;
  const { now, randomBytes } = world;
  const isSigned = openEndJudge(state.path, writer);
  const signedWith = await readSigner(join(state.path, `${writer}.db`), writer);
  const signer = openCheckpointSigner({ state, writer, signedWith, now, randomBytes, log: component("store") });
  return { signer, isSigned, ...readRetention(config) };
}

/**
 * For a command that writes in the writer's place, under its lock. Where it may not read the key the newest event bears no
 * signature until the writer itself writes the next one.
 */
export function openKeptEventSettings(
  { config, world, state }: Pick<Foundation, "config" | "state"> & { readonly world: Pick<Foundation["world"], "now" | "randomBytes"> },
  writer: EventWriter,
): EventSettings {
  return { ...openKeysIfReadable(), ...readRetention(config) };

  /** Who cannot sign judges nothing: the writer does, when it signs. */
  function openKeysIfReadable(): Pick<EventSettings, "signer" | "isSigned"> {
    try {
      const isSigned = openEndJudge(state.path, writer);
      const signer = openKeptSigner({ state, writer, ...world, log: { warn() {} } });
      return { signer, isSigned: signer && isSigned };
    } catch (fault) {
      if (fault instanceof Fault && fault.code === "KEYS_UNREADABLE") return { signer: undefined };
      throw fault;
    }
  }
}

const readRetention = (config: Foundation["config"]): Pick<EventSettings, "keepMs" | "keepRows"> => ({
  keepMs: config["events.keepDays"] * 86_400_000,
  keepRows: config["events.keepRows"],
});

/** Who signed the newest event. A file that cannot be read is told of by whoever opens it next. */
async function readSigner(path: string, writer: EventWriter): Promise<string | undefined> {
  await using reader = openEventReader({ path, writer });
  try {
    const { head } = await reader.bounds();
    return head === undefined || head.keyId === "" ? undefined : head.keyId;
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    return undefined;
  }
}
