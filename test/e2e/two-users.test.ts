/**
 * The parts as two users of one group (DESIGN.md §7): the token service as one, everything else as the other. Where the
 * tests do not run as root, or the checkout is not readable for others, both are the user that there is.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectClient, requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { type KeyholeParts, startKeyholeParts, type User } from "../support/keyhole-parts.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { servedBy } from "../support/served-by.ts";
import { recordRun } from "../support/test-record.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
const own: User = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const runAs = (user: User, args: readonly string[], cwd = "/") =>
  recordRun(spawnSync(process.execPath, args, { cwd, env: { PATH: process.env.PATH }, encoding: "utf8", timeout: 30_000, ...user }));

/** Others may run what is tested: we are root, and Node and the checkout are open to them. */
const isSplit = own.uid === 0 && runAs({ uid: 64_012, gid: 64_010 }, [main, "--version"]).status === 0;
const tokenUser: User = isSplit ? { uid: 64_011, gid: 64_010 } : own;
const pluginUser: User = isSplit ? { uid: 64_012, gid: 64_010 } : own;
const stranger: User = isSplit ? { uid: 64_099, gid: 64_099 } : own;

let keyhole: KeyholeParts;
let app: LocalApp;
beforeAll(async () => {
  app = await startLocalApp("app");
  keyhole = await startKeyholeParts({
    users: { token: tokenUser, plugin: pluginUser, edge: pluginUser, supervisor: pluginUser },
    prepare(dir, stateDir) {
      chmodSync(dir, 0o755);
      mkdirSync(stateDir);
      chownSync(stateDir, pluginUser.uid, pluginUser.gid);
      chmodSync(stateDir, 0o2770);
    },
  });
});
afterAll(async () => {
  await keyhole?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

const ownerAndMode = (...path: string[]): [number, number, string] => {
  const { uid, gid, mode } = statSync(join(keyhole.stateDir, ...path));
  return [uid, gid, (mode & 0o7777).toString(8)];
};

describe("two users of one group", () => {
  it("10: share what both need, and keep to themselves what only one does", async () => {
    const { gid } = pluginUser;
    expect(ownerAndMode("tokens.db")).toEqual([tokenUser.uid, gid, "660"]);
    expect(ownerAndMode("sessions.db")).toEqual([pluginUser.uid, gid, "660"]);
    expect(ownerAndMode("run", "token.sock")).toEqual([tokenUser.uid, gid, "660"]);
    expect(ownerAndMode("run", "plugin.sock")).toEqual([pluginUser.uid, gid, "660"]);
    expect(ownerAndMode("ports.json")[2]).toBe("660");
    for (const secret of [["control", "ca.key"], ["control", "control.key"], ["frps.toml"], ["frps.log"]])
      expect([secret, ownerAndMode(...secret)]).toEqual([secret, [pluginUser.uid, gid, "600"]]);
    for (const folder of [[], ["run"], ["keys"], ["keys", "token-hmac"], ["maps"], ["lock", "token"], ["control"]])
      expect([folder, ownerAndMode(...folder)[2]]).toEqual([folder, "2770"]);
  });

  it("keep a history each, signed with a key that is theirs alone, and both can verify both", () => {
    for (const [writer, user] of [["tokens", tokenUser] as const, ["sessions", pluginUser] as const]) {
      expect(ownerAndMode("keys", `audit-${writer}`).filter((_, at) => at !== 1)).toEqual([user.uid, "700"]);
      expect(ownerAndMode("keys", `audit-${writer}-public`)).toEqual([user.uid, pluginUser.gid, "2750"]);
    }
    for (const user of [tokenUser, pluginUser]) {
      const { status, stdout, stderr } = runAs(user, [main, "audit", "verify", "--json", "--config", join(keyhole.dir, "keyhole.toml")]);
      expect([status, stderr]).toEqual([0, ""]);
      const { chains } = JSON.parse(stdout) as { chains: { writer: string }[] };
      expect(chains.map(({ writer }) => writer)).toEqual(["tokens", "sessions"]);
    }
  });

  it("7: serve, and a plugin that starts while the token service is down admits a good token", async () => {
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, app.port);
    await using _client = await connectClient(keyhole, makeWallet(), app.port);
    await keyhole.end("plugin", "SIGKILL");
    await keyhole.end("token", "SIGTERM");
    await keyhole.start("plugin");
    await using client = startFrpcOn(keyhole, text);
    await client.saw("start proxy success", 20_000);
    await servedBy(keyhole, wallet, "app");
    await keyhole.start("token");
    await waitForFact("all is well", () => (keyhole.readStatus().isWell ? true : undefined), {
      timeoutMs: 20_000,
      everyMs: 50,
      describe: () => JSON.stringify(keyhole.readStatus()),
    });
  });

  it("10: either of them may ask for the status; somebody outside the group learns nothing", () => {
    const ask = (user: User) => runAs(user, [main, "status", "--config", join(keyhole.dir, "keyhole.toml")], keyhole.dir);
    expect(ask(tokenUser)).toMatchObject({ status: 0, stdout: expect.stringContaining("All is well.") });
    expect(ask(pluginUser).status).toBe(0);
    const refused = ask(stranger);
    expect([refused.status, refused.stdout.includes("you may not ask it")]).toEqual(isSplit ? [5, true] : [0, false]);
  });
});
