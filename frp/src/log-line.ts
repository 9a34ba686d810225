/**
 * One line of frps's or frpc's log, made fit for ours. Their logs are private because they print run ids, and a run id is
 * a bearer key: here each one becomes `[…]` (invariant 9). Visitors and clients choose parts of a line (hosts, names), so
 * colours, control characters and length go too.
 */

/** A line taken apart. `at` and `source` are frp's words, or absent for what is no log line of frp (a panic, an error of the flags). */
export type FrpLogLine = {
  readonly at: string | undefined;
  readonly level: "trace" | "debug" | "info" | "warn" | "error";
  readonly source: string;
  readonly message: string;
};

const levels: Readonly<Record<string, FrpLogLine["level"]>> = { T: "trace", D: "debug", I: "info", W: "warn", E: "error" };

/** `2026-01-31 12:00:00.123 [I] [server/service.go:203] message`, as golib's logger writes it. */
const logLine = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) \[([TDIWE])\] \[([^\]\s]{1,80})\] ?(.*)$/;

const maxLine = 16_384;
const maxMessage = 1_000;

/** Takes a line apart, without run ids. Never throws. */
export function parseFrpLogLine(line: string): FrpLogLine {
  const found = logLine.exec(clean(line));
  const [, at, letter = "", source = "", text = ""] = found ?? [];
  if (found === null || at === undefined) {
    const message = redactFrpText(line);
    return { at: undefined, level: /^(?:panic|fatal error):/.test(message) ? "error" : "warn", source: "", message };
  }
  // Lines of a session begin with its run id. Whatever stands in that place goes: a client may once have chosen it.
  const message = redactFrpText(text.replace(/^\[[^\]]{0,200}\]/, "[…]"));
  return { at, level: levels[letter] ?? "info", source, message };
}

/**
 * True when the time of a line (`at`) lies between the two instants, give or take five seconds. A line that says otherwise
 * was not written then: clients choose parts of what frp logs, and a line feed in a name begins a line of their making.
 *
 * frp writes local time and does not say of which zone, and ours may be another one (TZ). Zones differ by multiples of
 * fifteen minutes, so times are compared modulo that. Who knows the hour can forge the time too: this is a sieve, no proof.
 */
export function isWrittenBetween(at: string, from: Date, to: Date): boolean {
  const written = Date.parse(`${at.slice(0, 23).replace(" ", "T")}Z`);
  const earliest = from.getTime() - toleranceMs;
  const sinceEarliest = (((written - earliest) % zoneStepMs) + zoneStepMs) % zoneStepMs;
  return sinceEarliest <= to.getTime() + toleranceMs - earliest;
}

const toleranceMs = 5_000;
const zoneStepMs = 15 * 60_000;

/** Takes the run ids out of a text without the shape of a log line: an error of frps, the words of `frps verify`. One line, bounded. */
export function redactFrpText(text: string): string {
  return clean(text)
    .replace(/\b(run ?id:? |replaced by client )\[[^\]]{0,200}\]/gi, "$1[…]")
    .replace(/invalid run id: .*/, "invalid run id: […]")
    .replace(token, "[…]")
    .replace(/\[(?:\[…\])\]/g, "[…]")
    .trim()
    .slice(0, maxMessage);
}

/**
 * Tickets (63 characters of base64url), frps's own run ids (16 hexadecimal digits), our tunnel tokens, and anything longer
 * than a name can be. Labels (42 and 56 characters) and proxy names made of them stay readable.
 */
const token = new RegExp(
  [
    "(?<![A-Za-z0-9_.-])frp_[A-Za-z0-9_-]{20,}",
    "(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_.-]*",
    "(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{63}(?![A-Za-z0-9_-])",
    "(?<![A-Za-z0-9])[0-9a-f]{16}(?![A-Za-z0-9])",
    "(?<![A-Za-z0-9])[0-9a-f]{64,}(?![A-Za-z0-9])",
    "(?<=//)[^\\s/@]{1,400}(?=@)",
  ].join("|"),
  "g",
);

function clean(text: string): string {
  return cut(text)
    .toWellFormed()
    .replace(/\u001b\[[0-?]*[ -/]*[@-~]/g, "")
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")
    .trim();
}

/** A long line is cut between words: half of a ticket would not be recognised as one. */
function cut(text: string): string {
  if (text.length <= maxLine) return text;
  let end = maxLine;
  while (end > 0 && /[A-Za-z0-9_-]/.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
