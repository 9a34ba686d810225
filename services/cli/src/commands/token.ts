/**
 * `keyhole token inspect [FILE]`: what a credential is, whose, whether our keys made it, and what a login with it would be told.
 * It is read from a file or from standard input and never printed. Exit codes: 0 it is good, 1 it is not, 2 wrong usage.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { identityOfLabel, printIdentity, refusals } from "@keyhole/core";
import { openSessionReader, openTokenReader } from "@keyhole/store";
import pc from "picocolors";
import type { Config } from "../config/settings.ts";
import { findCredential, longestInput } from "../inspect/find-credential.ts";
import { type Inspection, inspectCredential } from "../inspect/inspect-credential.ts";
import type { InspectKeys } from "../inspect/prove-found.ts";
import { openKeyFolder } from "../state/key-folder.ts";
import { listedPlace } from "../state/key-rotation.ts";
import { openVerifyKeys } from "../state/signing-keys.ts";
import { readStellarAddress } from "../state/stellar-server.ts";
import { openReading } from "./reading.ts";

/** Inspects and prints. Resolves to the exit code. */
export async function runTokenInspect(
  file: string | undefined,
  options: { readonly config?: string; readonly json?: boolean },
): Promise<number> {
  if (file !== undefined && credentialForm.test(file)) return refuseUsage(onCommandLine);
  const { config, world } = openReading(options);
  if (file === undefined && process.stdin.isTTY === true)
    process.stderr.write("Paste the credential, then press Ctrl-D on a line of its own.\n");
  const input = readInput(file);
  if (input.text === undefined)
    return refuseUsage(`what is to be inspected cannot be read (${input.code}); name a file that holds it, or send it on standard input.`);
  const now = world.now();
  const inspection = await inspectText(input.text, config, now);
  if (inspection === undefined) {
    process.stderr.write(
      "keyhole: this is no credential: neither a tunnel token, nor a Stellar JWT, nor the metadatas of a Vana claim, nor a frpc.toml with one of them.\n",
    );
    return 1;
  }
  process.stdout.write(
    options.json === true ? `${JSON.stringify(describeInspection(inspection), undefined, 2)}\n` : renderInspection(inspection, now),
  );
  return inspection.refusal === undefined ? 0 : 1;
}

/** Inspects what was handed in; undefined when there is no credential in it. Rejects with `STORE_UNAVAILABLE` or `KEYS_UNREADABLE`. */
export async function inspectText(text: string, config: InspectConfig, now: Date): Promise<Inspection | undefined> {
  const found = findCredential(text);
  if (found === undefined) return undefined;
  await using tokens = await openTokenReader({ path: join(config.stateDir, "tokens.db") });
  await using sessions = await openSessionReader({ path: join(config.stateDir, "sessions.db") });
  const keys = readKeys(config, () => now);
  return await inspectCredential(found, { keys, tokens, sessions, ttlSeconds: config["token.ttlSeconds"], now });
}

type InspectConfig = Pick<Config, "stateDir" | "domain" | "vana.audience" | "token.ttlSeconds">;

/** What it is checked with: every key that verifies now, of those that this user may read. */
function readKeys(config: InspectConfig, now: () => Date): InspectKeys {
  const { stateDir, domain } = config;
  const log = { warn: () => {} };
  const state = { path: stateDir };
  return {
    tokenKeys: openKeyFolder({ place: listedPlace(stateDir, "token-hmac"), now, log })().good,
    verifyKeys: openVerifyKeys({ state, now, log })(),
    domain,
    stellarAddress: readStellarAddress(state, now)(),
    audience: config["vana.audience"],
  };
}

const credentialForm = /^frp_|^ey[\w-]+\.|^[\w-]{80,}$|\.ey[\w-]+\./;

const onCommandLine =
  "a credential is no argument, for everybody could read it in the list of processes: name a file that holds it, or send it on standard input.";

function refuseUsage(sentence: string): 2 {
  process.stderr.write(`keyhole: ${sentence}\n`);
  return 2;
}

function readInput(file: string | undefined): { readonly text?: string; readonly code?: string } {
  let input: number | undefined;
  try {
    input = file === undefined || file === "-" ? 0 : openSync(file, "r");
    return { text: readUpTo(input, longestInput + 1) };
  } catch (cause) {
    return { code: String((cause as NodeJS.ErrnoException).code) };
  } finally {
    if (input !== undefined && input !== 0) closeSync(input);
  }
}

/** Of a file that is larger than any credential the rest is left alone. */
function readUpTo(input: number, most: number): string {
  const bytes = Buffer.alloc(most);
  let length = 0;
  for (;;) {
    const read = readSync(input, bytes, length, most - length, null);
    length += read;
    if (read === 0 || length === most) return bytes.toString("utf8", 0, length);
  }
}

const kindWords = {
  hmac: "tunnel token",
  jwt: "tunnel token (JWT)",
  claim: "Vana claim",
  "stellar-jwt": "Stellar JWT",
} as const;

/** The findings for people. */
export function renderInspection({ kind, proved, standing, refusal }: Inspection, now: Date): string {
  const rows: [string, string][] = [["kind", kindWords[kind]]];
  if (proved !== undefined && standing !== undefined) {
    const { ownerNotBefore, operatorNotBefore, block, isRecorded } = standing;
    const revokers = [
      ownerNotBefore && `its owner or a restore ${ownerNotBefore.toISOString()}`,
      operatorNotBefore && `an operator ${operatorNotBefore.toISOString()}`,
    ];
    const before = revokers.filter((text) => text !== undefined).join(", and of ");
    rows.push(
      ["address", printIdentity(identityOfLabel(proved.label))],
      ["issued", tellTime(proved.issuedAt, now)],
      ["expires", `${tellTime(standing.endsAt, now)}${isRecorded === false ? ", for it has no record" : ""}`],
      ["signature", proved.keyId === undefined ? "good, its holder's own" : `good, by our key ${proved.keyId}`],
    );
    if (isRecorded !== undefined) rows.push(["record", isRecorded ? "yes" : "none"]);
    rows.push([
      "revoked",
      `${standing.isRevoked ? pc.red("yes") : "no"}${before === "" ? "" : `; what is older than this counts no more: of ${before}`}`,
    ]);
    const until = block?.endsAt === undefined ? "until it is lifted" : `until ${block.endsAt.toISOString()}`;
    const reason = block === undefined || block.reason === "" ? "" : `: ${block.reason.replace(/[\p{Cc}\p{Cf}]/gu, "?")}`;
    rows.push(["blocked", block === undefined ? "no" : `${pc.red("yes")}, ${until}${reason}`]);
    rows.push(["sessions", `${standing.living} living`]);
    if (proved.needs !== undefined) rows.push(["registry", needWords[proved.needs] ?? proved.needs]);
  } else rows.push(["signature", pc.red("not proved: nothing that it says can be believed")]);
  rows.push(["login", refusal === undefined ? pc.green("would be let in") : pc.red(`would be refused: ${describeRefusal(refusal.code)}`)]);
  return `\n${rows.map(([name, value]) => `  ${name.padEnd(10)} ${value}`).join("\n")}\n\n`;
}

const needWords: Readonly<Record<string, string>> = {
  registration: "the gateway is asked whether the wallet is a registered server, where that is required",
  "owner-of-wallet": "an owner signed: the gateway must confirm that the wallet is his",
};

const describeRefusal = (code: keyof typeof refusals): string => `${code}: ${refusals[code].sentence} ${refusals[code].remedy}`;

function tellTime(at: Date, now: Date): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000);
  const size = Math.abs(seconds);
  const words =
    size < 120
      ? `${size} s`
      : size < 7200
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} days`;
  return `${at.toISOString()} (${seconds < 0 ? `${words} ago` : `in ${words}`})`;
}

/** The findings for programs. */
export function describeInspection({ kind, proved, standing, refusal }: Inspection): object {
  return {
    isGood: refusal === undefined,
    kind,
    address: proved === undefined ? null : printIdentity(identityOfLabel(proved.label)),
    issuedAt: proved?.issuedAt.toISOString() ?? null,
    expiresAt: standing?.endsAt.toISOString() ?? null,
    keyId: proved?.keyId ?? null,
    isProved: proved !== undefined,
    isRecorded: standing?.isRecorded ?? null,
    isRevoked: standing?.isRevoked ?? null,
    ownerNotBefore: standing?.ownerNotBefore?.toISOString() ?? null,
    operatorNotBefore: standing?.operatorNotBefore?.toISOString() ?? null,
    block: standing?.block === undefined ? null : { reason: standing.block.reason, endsAt: standing.block.endsAt?.toISOString() ?? null },
    livingSessions: standing?.living ?? null,
    needs: proved?.needs ?? null,
    refusal: refusal === undefined ? null : { code: refusal.code, facts: refusal.facts, ...pick(refusal.code) },
  };
}

const pick = (code: keyof typeof refusals): object => ({ sentence: refusals[code].sentence, remedy: refusals[code].remedy });
