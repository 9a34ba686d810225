/** The bench's two answers: a table for people, JSON for programs. */
import { cpus, loadavg, totalmem } from "node:os";
import { frpVersion } from "@keyhole/frp";
import type { Goal, Measured, Table } from "./measured.ts";

/** Where the figures come from; without it they mean nothing. */
export type Machine = {
  readonly date: string;
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly platform: string;
  readonly node: string;
  readonly frp: string;
  /** Of the minute before the bench: what else the machine was doing. */
  readonly loadBefore: number;
  readonly isQuick: boolean;
};

/** Reads the facts of this machine, before anything is measured. */
export function readMachine(isQuick: boolean): Machine {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    cores: processors.length,
    cpu: processors[0]?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    frp: frpVersion,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    isQuick,
  };
}

/** Renders everything as text. */
export function renderReport(machine: Machine, measured: readonly Measured[], seconds: number): string {
  const { cores, cpu, memoryGb, node, frp, date, loadBefore, isQuick } = machine;
  const goals = measured.flatMap((one) => one.goals);
  return [
    `Keyhole bench${isQuick ? " (quick)" : ""}: loopback, ${cores} cores (${cpu}), ${memoryGb} GiB, Node ${node}, frp ${frp}, load before ${loadBefore}, ${date}`,
    ...measured.map(({ table }) => renderTable(table)),
    renderTable({
      title: "Goals",
      columns: ["", "goal", "found", ""],
      rows: goals.map(({ name, goal, found, isMet }: Goal) => [name, goal, found, isMet ? "held" : "MISSED"]),
    }),
    `Absolute times are this machine's; only the ratios carry over. Took ${seconds.toFixed(0)} s.\n`,
  ].join("\n\n");
}

/** Renders everything as JSON. */
export function renderJson(machine: Machine, measured: readonly Measured[], seconds: number): string {
  const figures = Object.fromEntries(measured.map(({ key, figures }) => [key, figures]));
  const report = { machine, seconds, ...figures, goals: measured.flatMap(({ goals }) => goals) };
  return `${JSON.stringify(report, (_key, value: unknown) => (typeof value === "number" ? Math.round(value * 1e4) / 1e4 : value), 2)}\n`;
}

function renderTable({ title, columns, rows, note }: Table): string {
  const lines = [columns, ...rows];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const render = (line: readonly string[]): string =>
    `  ${widths.map((width, column) => (column === 0 ? (line[column] ?? "").padEnd(width) : (line[column] ?? "").padStart(width))).join("  ")}`.trimEnd();
  return [
    title,
    render(columns),
    `  ${widths.map((width) => "-".repeat(width)).join("  ")}`,
    ...rows.map(render),
    ...(note === undefined ? [] : [`  ${note}`]),
  ].join("\n");
}
