/**
 * What is remembered of what happened: the closed list of events, and the chain that lets anybody notice a row that was
 * altered, dropped or put elsewhere. Each writer (the token service, the plugin) has a chain of its own. A row's hash is over
 * the hash of the row before it and everything that the row says; the newest hash is signed at every commit.
 */
import { hash } from "node:crypto";
import type { Label } from "./label.ts";

/** Everything that is remembered, with what it means. Whoever adds one adds it here, and the manual has it. */
export const events = {
  "process.started": "A part began: which one, its version, and a digest of the settings in force.",
  "process.stopped": "A part ended in order.",
  "config.changed": "A part began with other settings than the time before.",
  "keys.changed": "A key was made, retired or deleted: the ids that verify, the one that mints.",
  "token.granted": "A proof bought a tunnel token.",
  "owner.revoked": "A wallet revoked everything of its own that is older.",
  "operator.revoked": "An operator revoked everything of a wallet that is older.",
  "session.admitted": "A login was let in.",
  "session.ended": "A session ended: closed, lost, displaced, expired, evicted or kicked.",
  "session.evicted": "An eviction was carried out: when each of its stages was reached.",
  "session.kicked": "An operator ended a wallet's sessions; its client may come back.",
  "block.set": "An operator blocked a wallet or a network.",
  "block.lifted": "An operator took a block back.",
  "block.ended": "A block reached its end.",
  "frps.found": "frps answers the plugin: for the first time, or again.",
  "frps.lost": "The plugin found nobody where frps had answered.",
  "edge.joined": "The edge and the plugin met and the edge was told everything: one of the two had just started.",
  refused: "Somebody was refused: the first of each code in a while, then how many more.",
  "checkpoint.seen": "How far the other writer's chain had come: whoever puts an older file in its place is found by this.",
  "chain.doubted": "The end of the chain was not as its writer had left it: somebody else wrote what comes before.",
  "store.restored": "A backup was put in place: what it brought back and what it could not undo.",
} as const;

/** The name of an event. */
export type EventName = keyof typeof events;

/** True for a name of the list. */
export const isEventName = (text: string): text is EventName => Object.hasOwn(events, text);

/** Facts of an event: never a secret, never what somebody sent as it was sent. */
export type EventDetail = Readonly<Record<string, string | number | boolean | null>>;

/** Something that happened, to be remembered. */
export type EventEntry = { readonly at: Date; readonly event: EventName; readonly label?: Label; readonly detail: EventDetail };

/** A row of the chain. `event` is text: a newer version may have written words that this one does not know. */
export type EventRecord = {
  /** From 1, without gaps. */
  readonly sequence: number;
  readonly at: Date;
  readonly event: string;
  readonly label: string | undefined;
  /** JSON text, as it was hashed. */
  readonly detail: string;
  /** SHA-256, 32 bytes. */
  readonly hash: Uint8Array;
};

/** What the chain had come to at a row, signed. */
export type Checkpoint = { readonly sequence: number; readonly hash: Uint8Array; readonly at: Date };

/** Who writes a chain: the name of its file without `.db`. */
export type EventWriter = "tokens" | "sessions";

/** Makes the signature of a checkpoint's text. `keyId`, asked right after it, names the key that made it: keys are rotated. */
export type CheckpointSigner = { readonly keyId: string; readonly sign: (text: Uint8Array) => Uint8Array };

/** The hash before the first row. */
export const chainStart: Uint8Array = new Uint8Array(32);

/** The hash of a row behind the row that has the hash `previous`. */
export function hashEvent(previous: Uint8Array, row: Omit<EventRecord, "hash">): Uint8Array {
  const text = JSON.stringify([row.sequence, row.at.getTime(), row.event, row.label ?? null, row.detail]);
  return hash("sha256", Buffer.concat([previous, Buffer.from(text)]), "buffer");
}

/** What is signed for a checkpoint: unlike any other text that a key of ours signs. */
export function renderCheckpoint(writer: EventWriter, { sequence, hash, at }: Checkpoint): Uint8Array {
  return Buffer.from(
    `keyhole event checkpoint\nwriter: ${writer}\nsequence: ${sequence}\nhash: ${Buffer.from(hash).toString("hex")}\nat: ${at.toISOString()}\n`,
  );
}
