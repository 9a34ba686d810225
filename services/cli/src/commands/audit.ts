/**
 * `keyhole audit verify`: goes over both chains of events and says what is wrong with them. Nothing has to run. Exit codes:
 * 0 nothing is wrong, 1 something is, 3 there is nothing to verify, 78 the keys to verify with are missing.
 */
import type { EventWriter } from "@keyhole/core";
import pc from "picocolors";
import { flawWords } from "../audit/flaw-words.ts";
import { type AuditReport, verifyAudit } from "../audit/verify-audit.ts";
import { type ChainReport, type FoundFlaw, printInstant } from "../audit/verify-chain.ts";
import { openReading } from "./reading.ts";

/** Verifies and prints. Resolves to the exit code. */
export async function runAuditVerify(options: { readonly config?: string; readonly json?: boolean }): Promise<number> {
  const { config } = openReading(options);
  const report = await verifyAudit(config.stateDir, createProgress());
  process.stdout.write(options.json === true ? `${JSON.stringify(describeAudit(report), undefined, 2)}\n` : renderAudit(report));
  if (report.isNothing) return 3;
  return report.isClean ? 0 : 1;
}

/** A word on a terminal for whoever waits for longer than a second. */
function createProgress(): (writer: EventWriter, rows: number, of: number) => void {
  let saidAt = performance.now();
  return (writer, rows, of) => {
    if (performance.now() - saidAt < 1000) return;
    saidAt = performance.now();
    process.stderr.write(`${writer}.db: ${number(rows)} of ${number(of)} events\n`);
  };
}

/** The report for people. */
export function renderAudit({ chains, isClean, isNothing }: AuditReport): string {
  if (isNothing) return "Nothing is recorded yet: there are no events to verify.\n";
  const lines = [""];
  for (const chain of chains) {
    lines.push(`  ${pc.bold(`${chain.writer}.db`.padEnd(12))} ${describeChain(chain)}`);
    for (const flaw of chain.flaws) lines.push(...describeFlaw(flaw));
    if (chain.flawCount > chain.flaws.length) lines.push(`    ${pc.red("!")} and ${number(chain.flawCount - chain.flaws.length)} more`);
    for (const at of chain.restoredAt) lines.push(`    ${pc.dim(`a backup was put in place ${printInstant(at)}`)}`);
  }
  const verdict = isClean ? pc.green("No event was altered, dropped or moved.") : pc.red("The history cannot be believed as it is.");
  return `${[...lines, "", `  ${verdict}`, ""].join("\n")}\n`;
}

function describeChain({ rows, from, to, base, head }: ChainReport): string {
  const span = from === undefined || to === undefined ? "" : `, ${printInstant(from)} to ${printInstant(to)}`;
  const keys = [...new Set([base?.keyId, head?.keyId])].filter((id) => id !== undefined && id !== "");
  const forgotten = base === undefined || base.sequence === 0 ? "" : `, after ${number(base.sequence)} that were forgotten in order`;
  return `${number(rows)} ${rows === 1 ? "event" : "events"}${span}${forgotten}${keys.length === 0 ? "" : `, signed by ${keys.join(" and ")}`}`;
}

function describeFlaw({ sequence, flaw, fact }: FoundFlaw): readonly string[] {
  const { means, remedy } = flawWords[flaw];
  const where = flaw === "unreadable" ? "" : `event ${number(sequence)}: `;
  return [`    ${pc.red("!")} ${where}${flaw}: ${means}${fact === undefined ? "" : ` (${fact})`}`, `      ${remedy}`];
}

/** The report for programs. The ends may be kept elsewhere: whoever puts both files back as they were is found by them alone. */
export function describeAudit({ chains, isClean }: AuditReport): object {
  return {
    isClean,
    chains: chains.map(({ writer, rows, from, to, head, base, flaws, flawCount, restoredAt }) => ({
      writer,
      rows,
      from: from === undefined ? null : printInstant(from),
      to: to === undefined ? null : printInstant(to),
      end: head === undefined ? null : { sequence: head.sequence, hash: Buffer.from(head.hash).toString("hex"), keyId: head.keyId },
      begin: base === undefined ? null : { sequence: base.sequence, keyId: base.keyId },
      restoredAt: restoredAt.map(printInstant),
      flawCount,
      flaws: flaws.map((flaw) => ({ ...flaw, ...flawWords[flaw.flaw] })),
    })),
  };
}

const number = (count: number): string => count.toLocaleString("en-US");
