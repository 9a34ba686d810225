/** Everything with which somebody could pretend to be another's client, or creep into another's session. */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mintTunnelToken } from "@keyhole/core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HostileWorld, loginOf, type RawSession, startHostileWorld, type Tenant } from "../support/hostile-world.ts";
import { startLocalApp } from "../support/local-app.ts";
import { connectRaw, messageType, type RawFrpClient } from "../support/raw-frp-client.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let world: HostileWorld;
let thief: Tenant;
/** Somebody honest whose ticket is known here, as it is to whoever read it on that machine. */
let other: Tenant;
let ticket: string;
let otherClient: RawSession;
let otherApp: Awaited<ReturnType<typeof startLocalApp>>;

beforeAll(async () => {
  world = await startHostileWorld();
  thief = await world.makeTenant();
  other = await world.makeTenant();
  otherApp = await startLocalApp("other");
  otherClient = await world.logIn(other, {}, otherApp.port);
  ticket = otherClient.ticket;
  expect(await otherClient.newProxy(proxyOf(other))).toBe("");
});
afterAll(async () => {
  otherClient?.[Symbol.dispose]();
  await otherApp?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
afterEach(async () => {
  await world.expectUnharmed();
  for (let round = 0; round < 5; round += 1) expect((await visit(world.keyhole.edgePort, other.host)).body).toBe("other");
});

const proxyOf = ({ label }: Tenant, name = "app") => ({ proxy_name: `${label}.${name}`, proxy_type: "http", subdomain: label });
const connect = (): Promise<RawFrpClient> => connectRaw({ port: world.keyhole.controlPort });
const codeOf = (answer: Record<string, unknown>): string => String(answer["error"] ?? "admitted").split(":")[0] ?? "";

/** Sends one Login on a connection of its own and tells the code of the answer. */
async function tryLogin(fields: Record<string, unknown>): Promise<string> {
  using client = await connect();
  return codeOf(await client.login(fields));
}

/** A token as this server would have minted it then; nobody outside has the key. */
function mintOld({ label }: Tenant, ageSeconds: number): string {
  const dir = join(world.keyhole.stateDir, "keys", "token-hmac");
  const [file = ""] = readdirSync(dir);
  const secret = Buffer.from(readFileSync(join(dir, file), "utf8").trim(), "base64url");
  return mintTunnelToken({ label, issuedAt: new Date(Date.now() - ageSeconds * 1000) }, { id: "1", secret });
}

describe("another's ticket", () => {
  it("2: with one's own token is worth nothing: one gets a session of one's own, and the other keeps serving", async () => {
    using client = await world.logIn(thief, { run_id: ticket });
    expect(client.ticket).not.toBe(ticket);
    expect(await client.newProxy(proxyOf(thief))).toBe("");
    expect((await visit(world.keyhole.edgePort, thief.host)).body).toBe("stolen");
    expect(await client.newProxy(proxyOf(other))).toMatch(/^PROXY_NAME/);
  });

  it.each([
    ["a token that was altered", () => `${other.token.slice(0, -1)}${other.token.endsWith("0") ? "1" : "0"}`, "TOKEN_SIGNATURE"],
    ["a token of another server", () => mintTunnelToken({ label: other.label, issuedAt: new Date() }, foreignKey), "TOKEN_SIGNATURE"],
    ["a token of another form", () => `Bearer ${other.token}`, "TOKEN_MALFORMED"],
    ["no token", () => "", "CREDENTIAL_MISSING"],
  ])("2: with %s is refused", async (_what, token, code) => {
    expect(await tryLogin(loginOf(token(), { run_id: ticket }))).toBe(code);
  });
});

it("2: an expired token is refused, with no ticket and with one that is not its own", async () => {
  using client = await world.logIn(thief);
  const expired = mintOld(other, 200_000);
  for (const runId of ["", client.ticket, randomBytes(47).toString("base64url")]) {
    expect(await tryLogin(loginOf(expired, { run_id: runId }))).toBe("TOKEN_EXPIRED");
  }
});

const foreignKey = { id: "1", secret: randomBytes(32) };

describe("a Login with something of another's in it", () => {
  it.each([
    ["the other's label as user", () => ({ user: other.label }), "USER_MISMATCH"],
    ["the other's label in capitals as user", () => ({ user: other.label.toUpperCase() }), "USER_MISMATCH"],
    ["two credentials", () => ({ metas: { token: thief.token, jwt: other.token } }), "CREDENTIAL_TWICE"],
    ["a token under a property's name", () => ({ metas: JSON.parse(`{"__proto__":"${thief.token}"}`) }), "CREDENTIAL_MISSING"],
    ["frp's own key made with a token", () => ({ privilege_key: "0".repeat(32) }), "CREDENTIAL_IN_AUTH_TOKEN"],
    ["seventeen metas", () => ({ metas: { token: thief.token, ...Object.fromEntries([...Array(16).keys()].entries()) } }), "ended"],
    ["the nonce of a kick, guessed", () => ({ metas: { keyhole_kick: "x".repeat(32) }, run_id: ticket }), "CREDENTIAL_MISSING"],
    [
      "a pass that only frps may give itself",
      () => ({ client_spec: { type: "ssh-tunnel", always_auth_pass: true }, metas: {} }),
      "CREDENTIAL_MISSING",
    ],
    ["a list for its metas", () => ({ metas: [] }), "ended"],
    ["a pool that would have hurt frps", () => ({ pool_count: -11 }), "POOL_COUNT"],
    ["a version that is none", () => ({ version: "%s%n" }), "CLIENT_TOO_OLD"],
    ["no version", () => ({ version: "" }), "CLIENT_TOO_OLD"],
    ["half a pool", () => ({ pool_count: 0.5 }), "ended"],
  ])("1: %s is refused", async (_what, fields, code) => {
    expect(await tryLogin(loginOf(thief.token, fields()))).toBe(code);
  });

  it.each([
    ["the other's client id", () => ({ client_id: ticket })],
    ["the other's session id", () => ({ metas: { token: thief.token, session: readSessionId(other) } })],
    ["a pool larger than any machine's", () => ({ pool_count: Number.MAX_SAFE_INTEGER })],
    ["names that would forge a line of a log", () => ({ hostname: "a\nb", os: "\u001b[31m", arch: "%s%n" })],
  ])("1: %s is dropped: what is registered and closed is one's own", async (_what, fields) => {
    using client = await world.logIn(thief, fields());
    expect(await client.newProxy(proxyOf(thief))).toBe("");
    client.closeProxy(String(proxyOf(other).proxy_name));
    client.closeProxy(String(proxyOf(thief).proxy_name));
    expect(await client.newProxy({ ...proxyOf(other), proxy_name: `${thief.label}.x` })).toMatch(/^SUBDOMAIN_NOT_OWNED/);
  });
});

/** Our log says it: it is no secret, because only the hook writes it. */
const readSessionId = ({ label }: Tenant): string =>
  new RegExp(`"label":"${label}","session":"([\\w-]+)"`).exec(world.keyhole.output())?.[1] ?? "not found";

describe("a Login that is sent again from elsewhere", () => {
  it("2: takes over as its owner could; a displaced ticket is refused while the newer lives, and feeds nothing into it", async () => {
    const owner = await world.makeTenant();
    const login = loginOf(owner.token);
    using first = await connect();
    const displaced = String((await first.login(login))["run_id"]);
    expect(await first.newProxy(proxyOf(owner))).toBe("");
    using again = await connect();
    const holder = String((await again.login(login))["run_id"]);
    again.serve(holder, otherApp.port);
    expect(await again.newProxy(proxyOf(owner))).toBe("");
    await first.closed;
    expect(holder).not.toBe(displaced);
    for (let round = 0; round < 3; round += 1) expect(await tryLogin({ ...login, run_id: displaced })).toBe("REPLACED_BY_NEWER_CLIENT");
    using injector = await connect();
    expect(await injector.newWorkConn({ run_id: displaced }).next(messageType.startWorkConn)).toMatchObject({ error: expect.any(String) });
    for (let round = 0; round < 10; round += 1) expect((await visit(world.keyhole.edgePort, owner.host)).body).toBe("other");
    again.socket.destroy();
    await waitForFact("the displaced one may come back", async () =>
      (await tryLogin({ ...login, run_id: displaced })) === "admitted" ? true : undefined,
    );
  });
});

describe("a work connection that nobody asked this client for", () => {
  it.each([
    ["a guessed ticket", () => randomBytes(47).toString("base64url")],
    ["a ticket cut short", () => ticket.slice(0, -1)],
    ["a ticket with a letter changed", () => `${ticket.slice(0, 40)}${ticket[40] === "A" ? "B" : "A"}${ticket.slice(41)}`],
    ["a ticket in capitals", () => ticket.toUpperCase()],
    ["no ticket", () => ""],
    ["the label", () => other.label],
    ["a line end", () => "x\ny"],
    ["a format of Go's", () => "%s%n"],
  ])("1: with %s is refused by frps and never given a request", async (_what, runId) => {
    using client = await connect();
    const answer = await client.newWorkConn({ run_id: runId() }).next(messageType.startWorkConn);
    expect(answer).toMatchObject({ error: expect.stringContaining("no client control found") });
  });

  it("1: with one's own ticket gets one's own requests: whose they are is not for the client to say", async () => {
    using client = await world.logIn(thief);
    expect(await client.newProxy(proxyOf(thief))).toBe("");
    const work = client.newWorkConn({ run_id: client.ticket, proxy_name: proxyOf(other).proxy_name, user: other.label });
    await world.expectUnharmed();
    for (let round = 0; round < 5; round += 1) expect((await visit(world.keyhole.edgePort, other.host)).body).toBe("other");
    const asked = visit(world.keyhole.edgePort, thief.host);
    const start = await Promise.race([work.next(messageType.startWorkConn), asked.then(() => "served" as const)]);
    if (start !== "served") expect(start).toMatchObject({ proxy_name: proxyOf(thief).proxy_name });
    work.stream.destroy();
    await asked.catch(() => {});
  });

  it("1: a visitor of frp's own kind finds nothing, with no ticket, a guessed one, and one's own", async () => {
    using client = await world.logIn(thief);
    for (const runId of ["", "guessed", client.ticket]) {
      const visitor = client.open();
      visitor.send(messageType.newVisitorConn, { run_id: runId, proxy_name: proxyOf(other).proxy_name, sign_key: "", timestamp: 1 });
      expect(await visitor.next(messageType.newVisitorConnResp)).toMatchObject({ error: expect.any(String) });
    }
  });
});

describe("messages out of their order", () => {
  it.each(["h", "p", "c", "r", "s", "1", "2", "4", "u", "i", "n", "5", "x", "\0"])(
    "4: a first message of type %j ends its stream, unanswered",
    async (type) => {
      using client = await connect();
      client.control.send(type, { run_id: ticket, proxy_name: proxyOf(other).proxy_name });
      expect(await client.control.next(messageType.loginResp)).toBe("ended");
    },
  );

  it("2: a second Login on the control stream is not heard, and one on another stream takes over from the first", async () => {
    using client = await world.logIn(thief);
    client.control.send(messageType.login, loginOf(other.token, { run_id: ticket }));
    expect(await client.newProxy(proxyOf(thief))).toBe("");
    client.open().send(messageType.login, loginOf(thief.token));
    await client.closed;
  });

  it("2: two wallets on one connection are two sessions, and neither is anybody else's", async () => {
    const second = await world.makeTenant();
    using client = await world.logIn(thief);
    const stream = client.open();
    stream.send(messageType.login, loginOf(second.token));
    const answer = await stream.next(messageType.loginResp);
    expect(answer).toMatchObject({ run_id: expect.any(String) });
    expect(answer).not.toMatchObject({ run_id: client.ticket });
    expect(await client.newProxy(proxyOf(second))).toMatch(/^PROXY_NAME/);
  });
});
