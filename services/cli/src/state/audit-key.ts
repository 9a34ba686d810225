/**
 * The Ed25519 keys that sign what the event chains have come to, one set a writer: the seeds (`keys/audit-<writer>/<id>.key`)
 * are that writer's alone, so nobody who may write the other's database can sign for it. The public halves
 * (`keys/audit-<writer>-public/<id>.pub`) stay for ever: what was signed years ago can be verified. A retired key's mark says
 * until when its signatures count; whoever has stolen one cannot sign what came later.
 */
import {
  type CheckpointSigner,
  type EventWriter,
  Fault,
  renderCheckpoint,
  type SignedCheckpoint,
  signEd25519,
  verifyEd25519,
} from "@keyhole/core";
import type { Log } from "../log.ts";
import { listKeys, readEveryKey, type StoredKey } from "./key-folder.ts";
import { makeSeedFolders, openSeeds, seedPlaces } from "./signing-keys.ts";
import type { StateDirectory } from "./state-directory.ts";

/** The purpose under which a writer's keys are listed and rotated. */
const auditPurpose = (writer: EventWriter): `audit-${EventWriter}` => `audit-${writer}`;

/**
 * Opens the keys of a writer, making the first when nothing was ever signed. Throws `Fault("KEYS_UNREADABLE")` when there was a
 * key and it is gone. Once open it signs on with what it has, whatever becomes of the files: no event is lost for its key.
 */
export function openCheckpointSigner(options: {
  readonly state: StateDirectory;
  readonly writer: EventWriter;
  /** The key id that the newest event was signed with; undefined where there is none, or nobody signed it. */
  readonly signedWith: string | undefined;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: Pick<Log, "warn">;
}): CheckpointSigner {
  const { state, writer, signedWith } = options;
  const places = seedPlaces(state.path, auditPurpose(writer));
  makeSeedFolders(state, places);
  const isKeyGone = listKeys(places.seeds).length === 0 && (signedWith !== undefined || listKeys(places.published).length > 0);
  if (isKeyGone) {
    throw new Fault(
      "KEYS_UNREADABLE",
      `${places.seeds.dir} holds no key, and ${writer}.db was signed with one. Put it back from a backup; if it is lost, make another: keyhole keys rotate ${auditPurpose(writer)}`,
    );
  }
  const read = openSeeds({ ...options, places });
  const key: StoredKey | undefined = read().minting;
  if (key === undefined)
    throw new Fault(
      "KEYS_UNREADABLE",
      `${places.seeds.dir} holds no key that is still good; make one: keyhole keys rotate ${auditPurpose(writer)}`,
    );
  let current: StoredKey = key;
  return {
    get keyId() {
      return current.id;
    },
    sign(text) {
      current = read().minting ?? current;
      return signEd25519(text, current.bytes);
    },
  };
}

/** For whoever writes in the writer's place, as a restore does: its key where there is one. It makes none. */
export function openKeptSigner(options: Omit<Parameters<typeof openCheckpointSigner>[0], "signedWith">): CheckpointSigner | undefined {
  const { seeds } = seedPlaces(options.state.path, auditPurpose(options.writer));
  return listKeys(seeds).length === 0 ? undefined : openCheckpointSigner({ ...options, signedWith: undefined });
}

/** Verifies the checkpoints of one writer. */
export type CheckpointVerifier = {
  /** How many keys of the writer are known. */
  readonly count: number;
  /** False when the key did not make the signature; undefined when there is no such key. */
  verify(keyId: string, text: Uint8Array, signature: Uint8Array): boolean | undefined;
  /** When the key was retired; undefined while it is not, and when it is unknown. */
  endOf(keyId: string): Date | undefined;
};

/** Opens what verifies a writer's checkpoints: every public half there ever was. Throws `Fault("KEYS_UNREADABLE")`. */
export function openCheckpointVerifier(stateDir: string, writer: EventWriter): CheckpointVerifier {
  const keys = new Map(readEveryKey(seedPlaces(stateDir, auditPurpose(writer)).published).map((key) => [key.id, key]));
  return {
    count: keys.size,
    verify(keyId, text, signature) {
      const key = keys.get(keyId);
      return key && verifyEd25519(signature, text, key.bytes);
    },
    endOf: (keyId) => keys.get(keyId)?.retiredUntil,
  };
}

/**
 * Judges the end of a writer's chain for whoever is about to sign on behind it; undefined where there has never been a key, so
 * nothing can have been signed. Asked before a first key is made. Throws `Fault("KEYS_UNREADABLE")`.
 */
export function openEndJudge(stateDir: string, writer: EventWriter): ((checkpoint: SignedCheckpoint) => boolean) | undefined {
  const { count, verify, endOf } = openCheckpointVerifier(stateDir, writer);
  if (count === 0) return undefined;
  return (checkpoint) => {
    const { keyId, signature, at } = checkpoint;
    const end = endOf(keyId);
    return verify(keyId, renderCheckpoint(writer, checkpoint), signature) === true && (end === undefined || at <= end);
  };
}
