/**
 * `keyhole keys list|rotate|retire`: what mints and verifies, and for how long. Nothing secret is printed. It works on the
 * files, which the parts read again every second: whether they run makes no difference.
 */
import { setTimeout as wait } from "node:timers/promises";
import { type CredentialKind, Fault } from "@keyhole/core";
import { loadConfig } from "../config/load-config.ts";
import type { Config } from "../config/settings.ts";
import { endedSessions } from "../sockets/plugin-socket.ts";
import { createSocketClient } from "../sockets/socket-client.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import { socketPath } from "../sockets/socket-path.ts";
import {
  deriveOverlapMs,
  hasKeys,
  isAuditPurpose,
  type KeyPurpose,
  keyPurposes,
  type ListedKey,
  listPurpose,
  requireWritable,
  retireKey,
  rotateKeys,
} from "../state/key-rotation.ts";
import { createWorld, type World } from "../world.ts";
import { parseDuration } from "./duration.ts";
import { openExistingState } from "./operator-context.ts";

/** What a command is run with: everything that it takes from outside. */
export type KeysContext = {
  readonly config: Pick<Config, "stateDir" | "token.ttlSeconds">;
  readonly world: Pick<World, "now" | "randomBytes">;
  readonly print: (text: string) => void;
};

/** Opens what a command is run with. */
export function openKeysContext(options: { readonly config?: string }): KeysContext {
  const world = createWorld();
  process.umask(0o007);
  const config = loadConfig({ file: options.config, cwd: world.env["INIT_CWD"] ?? process.cwd(), env: world.env });
  return { config, world, print: (text) => void process.stdout.write(text) };
}

/** Lists every key. Returns 1 when there are some that this user may not look at, 0 otherwise. */
export function listKeysOfAll({ config, world, print }: KeysContext, options: { readonly json?: boolean }): number {
  const state = openExistingState(config.stateDir);
  const now = world.now();
  const keys: ListedKey[] = [];
  const problems: string[] = [];
  for (const purpose of keyPurposes) {
    try {
      keys.push(...listPurpose(state, purpose, now));
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      problems.push(`${purpose}: ${fault.message}`);
    }
  }
  const rows = keys.map(({ purpose, id, madeAt, retiredUntil, state: does }) => ({
    purpose,
    id,
    made: madeAt.toISOString(),
    state: does,
    retiredUntil: retiredUntil?.toISOString() ?? null,
  }));
  if (options.json === true) print(`${JSON.stringify({ keys: rows, problems }, undefined, 2)}\n`);
  else {
    for (const { purpose, id, made, state: does } of rows) print(`${purpose.padEnd(width)} ${id}  made ${made}  ${does}\n`);
    if (rows.length === 0 && problems.length === 0) print("There are no keys yet: each part makes its own at its first start.\n");
    for (const problem of problems) print(`! ${problem}\n`);
  }
  return problems.length === 0 ? 0 : 1;
}

/** Makes a new key for one purpose, or for all that have keys, and retires those before it. */
export function rotateKeysOf(
  { config, world, print }: KeysContext,
  purpose: KeyPurpose | "audit" | undefined,
  options: { readonly overlap?: number },
): void {
  const state = openExistingState(config.stateDir);
  const wanted = keyPurposes.filter((each) => purpose === undefined || purpose === each || (purpose === "audit" && isAuditPurpose(each)));
  if (purpose !== undefined && !wanted.some((each) => hasKeys(state, each)))
    throw new Fault("KEY_UNKNOWN", `${purpose} has no keys yet: the part that uses them makes the first one at its first start.`);
  requireWritable(state, wanted);
  const purposes = wanted.filter((each) => hasKeys(state, each));
  if (purposes.length === 0) print("There are no keys yet: each part makes its own at its first start.\n");
  for (const each of purposes) {
    const now = world.now();
    const overlapMs = options.overlap ?? deriveOverlapMs(each, config["token.ttlSeconds"]);
    const id = rotateKeys(state, { purpose: each, now, overlapMs, randomBytes: world.randomBytes });
    if (!isAuditPurpose(each) && overlapMs < deriveOverlapMs(each, config["token.ttlSeconds"]))
      print(`${each.padEnd(width)} ! some of what the keys before it made is good for longer than that, and will be refused\n`);
    const until = new Date(now.getTime() + overlapMs).toISOString();
    print(
      isAuditPurpose(each)
        ? `${each.padEnd(width)} ${id} signs in 5 s; what the keys before it sign until ${until} stays good\n`
        : `${each.padEnd(width)} ${id} mints in 5 s; the keys before it verify until ${until}\n`,
    );
  }
}

/**
 * Retires a key: with an end as long ahead as anything it made can be good, or at once. Then whoever it let in logs in again:
 * with a token of another key, or not at all.
 */
export async function retireKeyOf({ config, world, print }: KeysContext, id: string, options: { readonly now?: boolean }): Promise<void> {
  const state = openExistingState(config.stateDir);
  const now = world.now();
  const { purpose, until } = retireKey(state, {
    id,
    now,
    deriveUntil: (of) => (options.now === true ? now : new Date(now.getTime() + deriveOverlapMs(of, config["token.ttlSeconds"]))),
  });
  print(
    options.now === true
      ? `${purpose} ${id} is deleted. ${isAuditPurpose(purpose) ? "" : "Within a second nothing that it made is accepted any more: "}${losses[purpose]}\n`
      : `${purpose} ${id} ${isAuditPurpose(purpose) ? "signs" : "mints"} no more, and verifies until ${until.toISOString()}\n`,
  );
  const kind = kinds[purpose];
  if (options.now === true && kind !== undefined) print(`${purpose.padEnd(width)} ${await endSessions(config.stateDir, kind)}\n`);
}

/** Of the longest purpose. */
const width = Math.max(...keyPurposes.map((purpose) => purpose.length));

const kinds: Readonly<Partial<Record<KeyPurpose, CredentialKind>>> = { "token-hmac": "hmac", "token-jwt": "jwt" };

/** Every part has read its keys again by then. */
const readAgainMs = 1500;

/** A session does not know which key let it in, so all of the kind log in again: what is good is back in a moment. */
async function endSessions(stateDir: string, kind: CredentialKind): Promise<string> {
  await using plugin = createSocketClient(socketPath(stateDir, "plugin"));
  try {
    await plugin.call("GET", "/status");
    await wait(readAgainMs);
    const { ended } = endedSessions.parse(await plugin.call("POST", "/sessions/end", { kinds: [kind] }, endTimeoutMs));
    return `${ended} ${ended === 1 ? "session was" : "sessions were"} ended; clients with a token of another key are back by themselves`;
  } catch (fault) {
    if (!(fault instanceof SocketFault)) throw fault;
    const what = fault.kind === "away" ? "the plugin is not running" : `the plugin could not be told (${fault.message})`;
    return `! ${what}: sessions that this key let in before go on until they end. Restart frps (keyhole supervisor --stop, then start it) to end them all.`;
  }
}

const endTimeoutMs = 30_000;

const losses: Readonly<Record<KeyPurpose, string>> = {
  "token-hmac": "who holds a token of it signs again.",
  "token-jwt": "who holds a token of it signs again.",
  "ticket-hmac": "clients log in again with their tokens, and those whose tokens have expired sign again.",
  "audit-tokens": "events that it signed before now verify as they did, and nothing that it signs from now on.",
  "audit-sessions": "events that it signed before now verify as they did, and nothing that it signs from now on.",
};

/** Reads `24h` into milliseconds. Throws what the command line tells as wrong usage. */
export const parseOverlap = (text: string): number =>
  parseDuration(text, { least: "10s", hint: " To end a key at once: keyhole keys retire <id> --now" });
