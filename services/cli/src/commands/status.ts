/**
 * `keyhole status`: one screen, each part by its own word, asked on its socket at this moment. Nothing is remembered and
 * nothing is inferred: a part that does not answer is told as that.
 */
import pc from "picocolors";
import { loadConfig } from "../config/load-config.ts";
import { exitCodes } from "../exit-codes.ts";
import { type PartStatus, partStatus } from "../sockets/part-status.ts";
import { createSocketClient } from "../sockets/socket-client.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import { type PartName, partNames, socketPath } from "../sockets/socket-path.ts";
import { requireStateDirectory } from "../state/state-directory.ts";
import { printAge } from "./table.ts";

/** What one part came to: `up` with its own words, `down` when nobody serves its socket, `silent` when it does not answer, `forbidden` when we may not ask. */
export type PartAnswer =
  | { readonly part: PartName; readonly state: "up"; readonly status: PartStatus }
  | { readonly part: PartName; readonly state: keyof typeof remedies; readonly reason: string };

/** What to do about a part that cannot be asked. */
const remedies = {
  down: (part: PartName, flags: string) =>
    `it is not running. Start it with: keyhole ${part}${flags} (or everything in one process: keyhole up${flags})`,
  silent: () => "it does not answer. Look at its log, and restart it.",
  forbidden: () => "you may not ask it. Run this as its user, or as one of its group.",
} as const;

/** What all parts together come to; null where the part that knows it does not answer. */
export type StatusTotals = Readonly<
  Record<"sessions" | "tunnels" | "routable" | "blocks" | "requestsPerSecond" | "loginsPerSecond" | "refusalsPerMinute", number | null>
>;

/** Adds up what the parts say. Refusals are of those that answer. */
export function deriveTotals(answers: readonly PartAnswer[]): StatusTotals {
  const factOf = (part: PartName, name: string): number | null => {
    const answer = answers.find((each) => each.part === part);
    const fact = answer?.state === "up" ? answer.status.facts[name] : undefined;
    return typeof fact === "number" ? fact : null;
  };
  const refusals = partNames.flatMap((part) => factOf(part, "refusalsPerMinute") ?? []);
  return {
    sessions: factOf("plugin", "sessions"),
    tunnels: factOf("plugin", "tunnels"),
    routable: factOf("plugin", "routable"),
    blocks: factOf("plugin", "blocks"),
    requestsPerSecond: factOf("edge", "requestsPerSecond"),
    loginsPerSecond: factOf("plugin", "loginsPerSecond"),
    refusalsPerMinute: refusals.length === 0 ? null : Math.round(refusals.reduce((sum, each) => sum + each, 0) * 10) / 10,
  };
}

/** Prints the status. Resolves to 0 when every part is up and has no problem, to 5 otherwise. Throws where there is no state directory. */
export async function runStatus(options: { readonly config?: string; readonly json?: boolean }): Promise<void> {
  const config = loadConfig({ file: options.config, cwd: process.env["INIT_CWD"] ?? process.cwd(), env: process.env });
  requireStateDirectory(config.stateDir);
  const answers = await Promise.all(partNames.map((part) => askPart(config.stateDir, part)));
  const isWell = answers.every((answer) => answer.state === "up" && answer.status.problems.length === 0);
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ stateDir: config.stateDir, isWell, totals: deriveTotals(answers), parts: answers }, undefined, 2)}\n`
      : renderStatus({ stateDir: config.stateDir, answers, now: new Date(), configFile: options.config }),
  );
  if (!isWell) process.exitCode = exitCodes.degraded;
}

async function askPart(stateDir: string, part: PartName): Promise<PartAnswer> {
  await using client = createSocketClient(socketPath(stateDir, part));
  try {
    return { part, state: "up", status: partStatus.parse(await client.call("GET", "/status", undefined, 2000)) };
  } catch (fault) {
    const kind = fault instanceof SocketFault ? fault.kind : "silent";
    return {
      part,
      state: kind === "away" ? "down" : kind === "forbidden" ? "forbidden" : "silent",
      reason: fault instanceof Error ? fault.message : String(fault),
    };
  }
}

/** Renders the screen: a line a part, what they come to together, and what is wrong with what to do about it. `configFile` is what was given with `--config`. */
export function renderStatus(state: {
  readonly stateDir: string;
  readonly answers: readonly PartAnswer[];
  readonly now: Date;
  readonly configFile: string | undefined;
}): string {
  const flags = state.configFile === undefined ? "" : ` --config ${state.configFile}`;
  const lines = ["", `  ${pc.bold("Keyhole")} ${pc.dim(`in ${state.stateDir}`)}`, ""];
  const problems: string[] = [];
  for (const answer of state.answers) {
    const name = answer.part.padEnd(11);
    if (answer.state === "up") {
      const { pid, startedAt, summary } = answer.status;
      const word = answer.status.problems.length === 0 ? pc.green("up    ") : pc.yellow("up    ");
      lines.push(`  ${name} ${word} ${pc.dim(`pid ${pid}, ${printAge(new Date(startedAt), state.now)}`.padEnd(22))} ${summary}`);
      problems.push(...answer.status.problems.map((problem) => `${answer.part}: ${problem}`));
    } else {
      lines.push(`  ${name} ${pc.red(answer.state.padEnd(6))} ${pc.dim(answer.reason)}`);
      problems.push(`${answer.part}: ${remedies[answer.state](answer.part, flags)}`);
    }
  }
  lines.push(
    "",
    ...renderTotals(deriveTotals(state.answers)),
    "",
    ...(problems.length === 0 ? [`  ${pc.green("All is well.")}`] : problems.map((problem) => `  ${pc.yellow("!")} ${problem}`)),
    "",
  );
  return `${lines.join("\n")}\n`;
}

/** Three lines of figures. What nobody can say is a question mark. */
function renderTotals({ sessions, tunnels, routable, blocks, ...rates }: StatusTotals): string[] {
  const tell = (figure: number | null): string => (figure === null ? "?" : String(figure));
  const line = (name: string, value: string): string => `  ${name.padEnd(11)} ${value}`;
  return [
    line(
      "tunnels",
      `${tell(tunnels)} connected, ${tell(routable)} routable ${pc.dim(`(${tell(sessions)} ${sessions === 1 ? "session" : "sessions"}: keyhole sessions list)`)}`,
    ),
    line(
      "last minute",
      `${tell(rates.requestsPerSecond)} requests/s, ${tell(rates.loginsPerSecond)} logins/s, ${tell(rates.refusalsPerMinute)} refusals/min`,
    ),
    line("blocks", `${tell(blocks)} in force ${pc.dim("(keyhole blocks)")}`),
  ];
}
