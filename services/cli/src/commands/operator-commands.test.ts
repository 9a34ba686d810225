/** The operator's commands against a plugin that answers as it is told: what is printed, and the exit code. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openStateLock } from "@keyhole/store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { IdentityShape, OrderShape, SessionShape } from "../admin/admin-schemas.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import { describe as describeOrder } from "./give-order.ts";
import { complainSilence, type OperatorContext } from "./operator-context.ts";
import { renderBlocks } from "./show-blocks.ts";
import { renderIdentity } from "./show-identity.ts";
import { renderSession, renderSessions } from "./show-sessions.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const label = address.toLowerCase();
const noColour = (text: string): string => text.replaceAll(/\u001b\[[0-9;]*m/g, "");
let dir = "";
let stack = new AsyncDisposableStack();
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-operator-"));
  stack = new AsyncDisposableStack();
  mkdirSync(join(dir, "state", "run"), { recursive: true });
  mkdirSync(join(dir, "state", "lock", "plugin"), { recursive: true });
  writeFileSync(join(dir, "keyhole.toml"), 'stateDir = "state"\n');
});
afterEach(async () => {
  await stack.disposeAsync();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs `keyhole …`; it ends by itself. */
function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], { cwd: dir, env: { PATH: process.env.PATH, NO_COLOR: "1", SUDO_USER: "ann" } });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}
type Asked = { readonly line: string; readonly by: unknown; readonly body: string };
/** A plugin that gives every call this answer. */
async function startPlugin(status: number, answer: object | string): Promise<Asked[]> {
  const asked: Asked[] = [];
  const server = createServer((incoming, outgoing) => {
    let body = "";
    incoming.on("data", (chunk) => (body += String(chunk)));
    incoming.on("end", () => {
      asked.push({
        line: `${incoming.method} ${incoming.url?.replace(/waitMs=\d+/, "waitMs=N")}`,
        by: incoming.headers["keyhole-operator"],
        body,
      });
      outgoing.writeHead(status).end(typeof answer === "string" ? answer : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(join(dir, "state", "run", "plugin.sock"), resolve));
  stack.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return asked;
}
const order = (fields: Partial<OrderShape>): OrderShape => ({ order: "revoke", subject: address, enforced: true, ended: 1, ...fields });

describe("an order", () => {
  it("asks the plugin in the name of who typed it, and ends with 0 when it is enforced, 5 when it is recorded alone", async () => {
    const asked = await startPlugin(200, order({}));
    const done = await run("revoke", address);
    expect([done.code, done.stdout, done.stderr]).toEqual([0, expect.stringContaining(`${address} is revoked`), ""]);
    await run("block", "203.0.113.9/24", "--for", "90m", "--reason", "a b");
    await run("unblock", "203.0.113.0/24");
    await run("sessions", "kick", "YO3QFBhBkbATYdxFBtTBGg");
    const by = expect.stringMatching(/^ann as .+/);
    expect(asked).toEqual([
      { line: `POST /v1/identities/${label}/revoke?waitMs=N`, by, body: "" },
      { line: "POST /v1/blocks?waitMs=N", by, body: '{"subject":"203.0.113.0/24","reason":"a b","forSeconds":5400}' },
      { line: "DELETE /v1/blocks?subject=203.0.113.0%2F24", by, body: "" },
      { line: "POST /v1/sessions/YO3QFBhBkbATYdxFBtTBGg/kick?waitMs=N", by, body: "" },
    ]);
    await stack.disposeAsync();
    stack = new AsyncDisposableStack();
    await startPlugin(202, order({ enforced: false }));
    const late = await run("revoke", address, "--json");
    expect([late.code, JSON.parse(late.stdout)]).toEqual([5, order({ enforced: false })]);
  });

  it.each([
    [404, { code: "BLOCK_NOT_FOUND", detail: "No such block is in force.", remedy: "See." }, 3],
    [503, { code: "STORE_UNAVAILABLE", detail: "No.", remedy: "Later." }, 1],
    [403, { code: "ADMIN_FROM_BROWSER", detail: "No.", remedy: "Never." }, 4],
    [200, "<html>", 1],
    // A plugin that was started before this command was installed.
    [404, { code: "NOT_FOUND" }, 1],
  ])("that is answered with %i %j ends with its exit code and says why", async (status, answer, code) => {
    await startPlugin(status, answer);
    const done = await run("unblock", address);
    expect([done.code, done.stdout]).toEqual([code, ""]);
    expect(done.stderr).toContain(code === 1 && status !== 503 ? "PART_UNREACHABLE" : (answer as { code: string }).code);
  });

  it.each([
    ["a mistyped address", ["revoke", address.replace("aA", "AA")], `Did you mean ${address}?`],
    ["a host of somebody else", ["revoke", "https://example.org/"], "UNKNOWN_HOST"],
    ["the whole internet", ["block", "0.0.0.0/0"], "SUBJECT_MALFORMED"],
    ["a time that is none", ["block", address, "--for", "soon"], "such as 90m, 24h or 30d"],
    ["words for a terminal", ["block", address, "--reason", "\u001b[2J"], "--reason must be"],
    ["no address", ["revoke"], "missing required argument"],
    ["too many sessions", ["sessions", "list", "--limit", "1001"], "from 1 to 1000"],
  ])("about %s is wrong usage", async (_what, args, told) => {
    const done = await run(...args);
    expect([done.code, done.stdout, done.stderr]).toEqual([2, "", expect.stringContaining(told)]);
  });

  it("writes nothing while the plugin has its lock, though it does not serve its socket", async () => {
    await using _lock = await openStateLock({ dir: join(dir, "state", "lock", "plugin"), pid: process.pid });
    const done = await run("revoke", address);
    expect([done.code, done.stderr]).toEqual([1, expect.stringContaining("PART_UNREACHABLE: nothing was recorded")]);
  });

  it("6: is recorded while the plugin is away, and waits its turn when another command does the same", async () => {
    const wallets = Array.from({ length: 4 }, (_, index) => `0x${String(index).repeat(39)}a`);
    const all = await Promise.all(wallets.map((wallet) => run("block", wallet, "--json")));
    expect(all.map(({ code }) => code)).toEqual(wallets.map(() => 5));
    const listed = await run("blocks", "--json");
    const { blocks } = JSON.parse(listed.stdout) as { blocks: { subject: string }[] };
    expect([listed.code, blocks.map(({ subject }) => subject).sort()]).toEqual([5, wallets]);
    expect((await run("unblock", wallets[0] ?? "")).code).toBe(5);
    expect((await run("unblock", wallets[0] ?? "")).code).toBe(3);
  });

  it("shows of a wallet the address that it has, while the plugin is away too", async () => {
    await run("block", address);
    const urlOf = async (): Promise<string> => (JSON.parse((await run("identity", "show", address, "--json")).stdout) as IdentityShape).url;
    expect(await urlOf()).toBe(`http://${label}.tunnel.localhost:7080`);
    writeFileSync(join(dir, "keyhole.toml"), 'stateDir = "state"\n[edge]\nlisten = "127.0.0.1:0"\n');
    const password = "p".repeat(32);
    const kept = { ports: { "edge.listen": 23456 }, hookPassword: password, dashboardPassword: password, edgePassword: password };
    writeFileSync(join(dir, "state", "ports.json"), JSON.stringify(kept), { mode: 0o600 });
    expect(await urlOf()).toBe(`http://${label}.tunnel.localhost:23456`);
  });

  it("is told in words: what was done, how far it holds, what comes next", () => {
    expect(describeOrder(order({}))).toContain(`to keep it out: keyhole block ${address}`);
    expect(describeOrder(order({ order: "block", block: { subject: label, reason: "", createdAt: "", endsAt: null } }))).toContain(
      "until it is lifted",
    );
    const endsAt = "2026-11-23T12:00:00.000Z";
    expect(describeOrder(order({ order: "block", ended: 0, block: { subject: label, reason: "", createdAt: "", endsAt } }))).toBe(
      `${address} is blocked until 2026-11-23 12:00:00Z; nobody of it was connected`,
    );
    expect(describeOrder(order({ enforced: false }))).toContain("recorded, not yet enforced");
  });

  it("ends with 4 where this user may not ask, and with 1 where nobody answers", () => {
    const said: string[] = [];
    const context = { flags: "", complain: (text: string) => void said.push(text) } as unknown as OperatorContext;
    expect(complainSilence(context, new SocketFault("forbidden", "no"))).toBe(4);
    expect(complainSilence(context, new SocketFault("silent", "no"))).toBe(1);
    expect(said[1]).toContain("repeat this: that is harmless");
  });
});

const session: SessionShape = {
  id: "YO3QFBhBkbATYdxFBtTBGg",
  address,
  label,
  state: "routable",
  kind: "hmac",
  generation: 1,
  source: "203.0.113.9:4000",
  issuedAt: "2026-11-22T11:00:00.000Z",
  endsAt: "2026-11-23T11:00:00.000Z",
  admittedAt: "2026-11-22T11:00:00.000Z",
  connectedAt: null,
  seenAt: null,
  proxies: [],
};

describe("what is printed for people", () => {
  it("is a line a session, in columns, and says how many there are beyond them", () => {
    const table = noColour(
      renderSessions({ sessions: [session, { ...session, source: null }], total: 9, next: "x" }, new Date("2026-11-22T12:00:00Z")),
    );
    expect(table).toMatch(/ADDRESS +STATE +FOR +FROM +PROVED BY +ID\n +0x5aAe\S+ +routable +60 min +203\.0\.113\.9:4000 +hmac +YO3Q/);
    expect(table).toContain("2 of 9");
    expect(table).not.toContain("canary");
    const own = { ...session, source: "127.75.72.1:4000" };
    expect(noColour(renderSessions({ sessions: [session, own], total: 2, next: null }, new Date()))).toContain(
      "127.75.72.1 is the canary, a tunnel of Keyhole's own",
    );
    expect(renderSessions({ sessions: [], total: 0, next: null }, new Date())).toContain("Nobody is connected");
    expect(noColour(renderSession(session))).toMatch(/connected +–/);
  });

  it("names ends and reasons of blocks", () => {
    const block = { subject: label, reason: "phishing", createdAt: "2026-11-22T11:00:00.000Z", endsAt: null };
    const table = noColour(renderBlocks({ blocks: [block, { ...block, subject: "10.0.0.0/8", endsAt: "2026-11-23T11:00:00.000Z" }] }));
    expect(table).toMatch(/0x5aAe\S+ +2026-11-22 11:00:00Z +until it is lifted +phishing\n +10\.0\.0\.0\/8 +\S+ \S+ +2026-11-23 11:00:00Z/);
    expect(renderBlocks({ blocks: [] })).toContain("Nobody is blocked");
  });

  it("shows of a wallet what is in force first, and nothing that a terminal obeys", () => {
    const identity: IdentityShape = {
      address,
      label,
      namespace: "eip155",
      url: "https://x.example.org",
      sessions: null,
      block: { subject: label, reason: "phishing", createdAt: "2026-11-22T11:00:00.000Z", endsAt: null, by: "ann" },
      revocation: { notBefore: "2026-11-22T11:00:03.000Z", at: "2026-11-22T11:00:00.000Z", by: null },
      ownerRevocation: { notBefore: "2026-11-22T10:00:00.000Z" },
      tokens: [{ kind: "jwt", issuedAt: session.issuedAt, expiresAt: session.endsAt, state: "revoked" }],
      lastSeen: null,
      history: [],
      events: [{ at: session.issuedAt, chain: "sessions", sequence: 1, event: "block.set", detail: { reason: "\u001b[2J", endsAt: null } }],
    };
    const page = noColour(renderIdentity(identity));
    expect(page).toMatch(/blocked +since 2026-11-22 11:00:00Z by ann, until it is lifted: phishing/);
    expect(page).toMatch(/revoked +2026-11-22 11:00:00Z: what was issued before 2026-11-22 11:00:03Z counts no more/);
    expect(page).toMatch(
      /not before +what was issued before 2026-11-22 10:00:00Z counts no more: its owner revoked, or a backup was restored/,
    );
    expect(page).toContain("not known: the plugin is not running");
    expect(page).toContain("It has never logged in.");
    expect(page).toContain("reason=?[2J");
    const { kind, generation, admittedAt } = session;
    const login = { kind, generation, source: "x", admittedAt, connectedAt: null, closedAt: null, end: null };
    const history = [login, { ...login, admittedAt: "2026-11-21T11:00:00.000Z" }];
    const living = noColour(renderIdentity({ ...identity, sessions: [session], history }));
    expect(living).toMatch(/2026-11-22 11:00:00Z +– +lives +x/);
    expect(living).toMatch(/2026-11-21 11:00:00Z +– +its end was never told +x/);
    expect(noColour(renderIdentity({ ...identity, history }))).toMatch(/2026-11-22 11:00:00Z +– +lives, or its end was never told/);
  });
});
