import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type EventEntry, type Label, parseLabel } from "@keyhole/core";
import { openSessionStore, openTokenStore } from "@keyhole/store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openHistory } from "../audit/read-events.ts";
import { renderEventJson, renderEventLine } from "../audit/render-event.ts";
import { parseEventName, parseLimit, parseSince } from "./events.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const log = { debug() {}, info() {}, warn() {}, error() {} };
const start = Date.parse("2026-11-22T12:00:00Z");
const label = parseLabel("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") as Label;
const other = parseLabel(`0x${"11".repeat(20)}`) as Label;
let dir = "";
let stateDir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-events-"));
  stateDir = join(dir, "state");
  mkdirSync(stateDir, { mode: 0o700 });
  writeFileSync(join(dir, "keyhole.toml"), 'stateDir = "state"\n');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const entry = (second: number, over: Partial<EventEntry> = {}): EventEntry => ({
  at: new Date(start + second * 1000),
  event: "refused",
  detail: { second },
  ...over,
});
const open = {
  tokens: () => openTokenStore({ path: join(stateDir, "tokens.db"), log }),
  sessions: () => openSessionStore({ path: join(stateDir, "sessions.db"), log }),
};
async function write(writer: "tokens" | "sessions", entries: readonly EventEntry[]): Promise<void> {
  await using store = await open[writer]();
  await store.saveEvents(entries);
}
const everything = { label: undefined, event: undefined, since: undefined };
const seconds = (rows: readonly { readonly detail: string }[]): number[] =>
  rows.map(({ detail }) => (JSON.parse(detail) as { second: number }).second);

describe("the history of both chains", () => {
  it("is by time, each chain in its own order: all of it, the newest, since a time, of a wallet, of a name, and what comes", async () => {
    const many = Array.from({ length: 9000 }, (_, second) => second);
    await write(
      "tokens",
      many.filter((second) => second % 3 !== 0).map((second) => entry(second, second % 1000 === 1 ? { label } : {})),
    );
    await write(
      "sessions",
      many.filter((second) => second % 3 === 0).map((second) => entry(second, second === 3000 ? { event: "block.set", label: other } : {})),
    );
    await using history = await openHistory(stateDir);
    const all: number[] = [];
    for await (const row of history.all(everything)) all.push(...seconds([row]));
    expect(all).toEqual(many);
    expect(seconds(await history.newest(everything, 5))).toEqual([8995, 8996, 8997, 8998, 8999]);
    expect(seconds(await history.newest({ ...everything, label }, 3))).toEqual([4001, 6001, 7001]);
    expect(seconds(await history.newest({ ...everything, event: "block.set" }, 3))).toEqual([3000]);
    expect(seconds(await history.newest({ ...everything, since: new Date(start + 8_998_000) }, 99))).toEqual([8998, 8999]);
    const since: number[] = [];
    for await (const row of history.all({ ...everything, since: new Date(start + 4_500_000) })) since.push(...seconds([row]));
    expect(since).toEqual(many.filter((second) => second >= 4500));
    expect(await history.fresh(everything)).toEqual([]);
    await write("sessions", [entry(9001)]);
    await write("tokens", [entry(9000), entry(9002, { label })]);
    expect(seconds(await history.fresh(everything))).toEqual([9000, 9001, 9002]);
    expect(await history.fresh(everything)).toEqual([]);
  });

  it("is told with the address as its wallet writes it, seconds as instants, and nothing that a terminal obeys", () => {
    const row = {
      writer: "tokens",
      sequence: 7,
      at: new Date(start),
      event: "token.granted",
      label,
      detail: JSON.stringify({ kind: "hmac", issuedAt: start / 1000, reason: "a b", "\u001b[2J": "x\u202e\n" }),
      hash: new Uint8Array(32),
    } as const;
    const line = renderEventLine(row).replaceAll(/\u001b\[\d+m/g, "");
    expect(line).toBe(
      '2026-11-22T12:00:00.000Z  tokens    token.granted      0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed  kind=hmac issuedAt=2026-11-22T12:00:00.000Z reason="a b" ?[2J=x??',
    );
    expect(JSON.parse(renderEventJson(row))).toMatchObject({ chain: "tokens", sequence: 7, address: expect.stringMatching(/^0x5aAeb/) });
    const broken = { ...row, label: "\u001b]0;x", detail: "[1", at: new Date(Number.NaN) };
    expect(renderEventLine(broken)).toContain("?]0;x");
    expect(renderEventLine(broken)).toContain("at no possible time");
  });
});

describe("what keyhole events takes", () => {
  it("is ages, instants, names of the list, and whole numbers", () => {
    expect([parseSince("90m"), parseSince("7d"), parseSince("2026-11-22")]).toEqual([5_400_000, 604_800_000, new Date("2026-11-22")]);
    for (const wrong of ["", "0h", "1.5h", "yesterday", "2026-13-01", "2026-11-22T12:00"])
      expect(() => parseSince(wrong)).toThrow("such as 90m");
    expect(parseEventName("token.granted")).toBe("token.granted");
    expect(() => parseEventName("toString")).toThrow("process.started, process.stopped");
    expect(parseLimit("10")).toBe(10);
    for (const wrong of ["0", "-1", "1e3", "x"]) expect(() => parseLimit(wrong)).toThrow("whole number");
  });
});

describe("the command", () => {
  const argsOf = (...args: string[]): string[] => [main, "events", "--config", join(dir, "keyhole.toml"), ...args];
  const env = { PATH: process.env.PATH };

  async function untilPrinted(child: ChildProcess, count: number): Promise<string[]> {
    let text = "";
    for await (const chunk of child.stdout ?? []) {
      text += String(chunk);
      if (text.split("\n").length > count) break;
    }
    return text.trimEnd().split("\n");
  }

  it("follows what another process writes, and Ctrl-C is its good end", async () => {
    await write("tokens", [entry(1)]);
    const child = spawn(process.execPath, argsOf("--follow", "--json"), { env, stdio: ["ignore", "pipe", "inherit"] });
    const gone = once(child, "exit");
    const lines = untilPrinted(child, 3);
    await once(child.stdout ?? child, "readable");
    await write("sessions", [entry(2)]);
    await write("tokens", [entry(3)]);
    expect((await lines).map((line) => (JSON.parse(line) as { detail: { second: number } }).detail.second)).toEqual([1, 2, 3]);
    child.kill("SIGINT");
    expect(await gone).toEqual([0, null]);
  });

  it("ends without a word when whoever read it has gone", async () => {
    await write(
      "tokens",
      Array.from({ length: 20_000 }, (_, second) => entry(second)),
    );
    const child = spawn(process.execPath, argsOf("--since", "2026-01-01", "--follow"), { env, stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stderr?.on("data", (chunk) => (errors += String(chunk)));
    const gone = once(child, "exit");
    await once(child.stdout ?? child, "data");
    child.stdout?.destroy();
    expect(await gone).toEqual([0, null]);
    expect(errors).toBe("");
  });

  it("takes a wallet as every other command does: an address, a label, and what was pasted from a browser", async () => {
    await write("tokens", [entry(0, { label }), entry(1)]);
    const told = (address: string) =>
      spawnSync(process.execPath, argsOf("--json", "--address", address), { env, encoding: "utf8", cwd: dir });
    for (const text of ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", label, `http://${label}.tunnel.localhost:7080/login?x=1`])
      expect(told(text).stdout.trimEnd().split("\n")).toEqual([expect.stringContaining('"second":0')]);
    for (const [wrong, code] of [
      ["0x12", "WALLET_FORMAT"],
      ["https://example.org/", "UNKNOWN_HOST"],
    ] as const) {
      const { status, stdout, stderr } = told(wrong);
      expect([status, stdout, stderr]).toEqual([2, "", expect.stringContaining(code)]);
    }
  });

  it("tells wrong usage with code 2, and a state directory that is not there with 1", () => {
    const run = (args: readonly string[]) => spawnSync(process.execPath, [...args], { env, encoding: "utf8", cwd: dir });
    expect(run(argsOf("--event", "nothing")).status).toBe(2);
    rmSync(stateDir, { recursive: true });
    const { status, stderr } = run(argsOf());
    expect([status, stderr]).toEqual([1, expect.stringContaining("There is no state directory")]);
    mkdirSync(stateDir);
    expect(run([main, "audit", "verify"]).status).toBe(3);
    expect(run(argsOf()).status).toBe(0);
  });
});
