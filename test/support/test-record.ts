/**
 * What a run of the tests logged, and which secrets it used, for the search at its end (`test/scan`). Recorded where
 * `TESTS_RECORD_DIR` names a folder, which `npm test` does; nothing is done otherwise. (A name with KEYHOLE_ before it would be
 * a setting.)
 *
 * frps's own log file and what frpc prints are not recorded. Both write run ids, which are bearer keys, whatever we do: the
 * file is 0600 and its lines come to our log without them, and the client's output is on the client's own machine.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A secret as it is recorded, one a line. */
export type RecordedSecret = { readonly kind: SecretKind; readonly secret: string };

/** Every kind that a whole run uses. */
export const secretKinds = [
  "a wallet's key",
  "a proof's signature",
  "a tunnel token's signature",
  "a claim's signature",
  "a Stellar JWT's signature",
  "a ticket",
  "a password between the parts",
  "a key of the state directory",
] as const;
export type SecretKind = (typeof secretKinds)[number];

/** Every kind of log that a whole run writes: of a whole Keyhole, of parts, of what runs inside a test. */
export const logSources = ["keyhole", "edge", "plugin", "token", "supervisor", "inside"] as const;
export type LogSource = (typeof logSources)[number];

const folder = process.env["TESTS_RECORD_DIR"] ?? "";
const known = new Set<string>();

/** Records a piece of a log, as it came. Pieces of one process and source are one file, in their order. */
export function recordLog(source: LogSource, piece: string): void {
  if (folder !== "") appendFileSync(join(folder, `${source}-${process.pid}.log`), piece);
}

/** Records what a command printed, and gives it back. */
export function recordRun<Run extends { readonly stdout: string | Buffer; readonly stderr: string | Buffer }>(run: Run): Run {
  recordLog("inside", `${String(run.stdout)}\n${String(run.stderr)}\n`);
  return run;
}

/** Records a secret, and gives it back. */
export function recordSecret<Secret extends string>(kind: SecretKind, secret: Secret): Secret {
  if (folder === "" || secret === "" || known.has(secret)) return secret;
  known.add(secret);
  appendFileSync(join(folder, `${process.pid}.secrets`), `${JSON.stringify({ kind, secret } satisfies RecordedSecret)}\n`);
  return secret;
}

/** Records what is secret of a tunnel token: in both of its forms all but its end is public. Gives the token back. */
export function recordToken(token: string): string {
  recordSecret("a tunnel token's signature", token.slice(Math.max(token.lastIndexOf("_"), token.lastIndexOf(".")) + 1));
  return token;
}

/** Records every tunnel token in an answer of the token service. */
export function recordTokensOf(answer: string): void {
  if (folder === "") return;
  for (const [token] of answer.matchAll(/frp_[\w-]+_\d+_[0-9a-f]{64}|eyJ[\w-]+\.[\w-]+\.[\w-]{40,}/g)) recordToken(token);
}

/** Records what lies in a state directory: passwords, keys, certificates' keys, and the tickets that frps wrote into its own log. */
export function recordStateDirectory(stateDir: string): void {
  if (folder === "" || !existsSync(stateDir)) return;
  for (const name of readdirSync(stateDir, { recursive: true, encoding: "utf8" })) {
    const text = readSecretFile(join(stateDir, name));
    if (text === undefined) continue;
    if (name === "ports.json") {
      const passwords = Object.values(JSON.parse(text) as Record<string, unknown>).filter((value) => typeof value === "string");
      for (const password of passwords) recordSecret("a password between the parts", password);
    } else if (name.startsWith("frps.log")) {
      for (const [, ticket = ""] of text.matchAll(/\[([\w-]{63})\]/g)) if (isTicket(ticket)) recordSecret("a ticket", ticket);
    } else if (text.startsWith("-----BEGIN")) {
      for (const line of text.split("\n").filter((each) => /^[\w+/=]{24,}$/.test(each))) recordSecret("a key of the state directory", line);
    } else if (/^\S{32,}\s*$/.test(text)) recordSecret("a key of the state directory", text.trim());
  }
}

/** Undefined for what holds no secret, and for what was there a moment ago. */
function readSecretFile(path: string): string | undefined {
  const name = basename(path);
  if (!/\.key$|^secret$|^wallet|^ports\.json$|^frps\.log/.test(name)) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Clients may have chosen what stands in that place: ours has a credential's kind at its place. */
function isTicket(text: string): boolean {
  const kind = Buffer.from(text, "base64url")[14] ?? 0;
  return kind >= 1 && kind <= 4;
}
