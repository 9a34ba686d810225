/** The public corpus of bad inputs, what a client can do on port 7000 (surface c), through the real frps. */
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { badInputsOf } from "../support/bad-inputs.ts";
import { requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { type HostileWorld, loginOf, startHostileWorld, type Tenant } from "../support/hostile-world.ts";
import { startLocalApp } from "../support/local-app.ts";
import { connectRaw, connectRawSocket, encodeRawMessage, messageType } from "../support/raw-frp-client.ts";
import { exchangeBytes } from "../support/raw-http.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let world: HostileWorld;
let other: Tenant;
beforeAll(async () => {
  world = await startHostileWorld({ settings: "edge.appTimeoutSeconds = 3" });
  other = await world.makeTenant();
});
afterAll(() => world?.[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

const proxyOf = ({ label }: Tenant) => ({ proxy_name: `${label}.app`, proxy_type: "http", subdomain: label });

/** Resolves when the far end has closed the connection. */
const closedWithin = async (closed: Promise<unknown>, ms: number): Promise<void> => {
  const startedAt = performance.now();
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(ms);
};

/** How each entry is tried. Where DESIGN.md supersedes what the corpus expects, the reason stands here. */
const tries: Readonly<Record<string, () => Promise<void>>> = {
  // The edge closes it, after the five seconds of its own handshake: frps never sees it.
  c01: async () => {
    const socket = await connectRawSocket({ port: world.keyhole.controlPort, isPlain: true });
    const gone = new Promise((resolve) => socket.resume().once("close", resolve));
    expect(await world.timeGoodClient()).toBeLessThan(2000);
    await closedWithin(gone, 10_000);
  },
  c03: async () => {
    for (const options of [
      { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
      { maxVersion: "TLSv1.2", ciphers: "NULL-SHA256@SECLEVEL=0" },
    ] as const) {
      const failure = await new Promise<string>((resolve) => {
        const socket = connectTls({ host: "127.0.0.1", port: world.keyhole.controlPort, rejectUnauthorized: false, ...options });
        socket.on("secureConnect", () => resolve("connected"));
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
        socket.on("close", () => resolve("closed"));
      });
      expect(failure).not.toBe("connected");
    }
  },
  // The Node door has no bridge for WebSockets: what begins with GET is closed, and frps's own listener is out of reach.
  c05: async () => {
    const upgrade = "GET /~!frp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const socket = await connectRawSocket({ port: world.keyhole.controlPort });
    socket.write(upgrade);
    const gone = new Promise((resolve) => socket.resume().once("close", resolve));
    expect(await world.timeGoodClient()).toBeLessThan(2000);
    await closedWithin(gone, 2000);
    expect(await exchangeBytes(world.keyhole.controlPort, upgrade)).toBe("");
  },
  // What is cut short is waited for by frps, ten seconds; a connection without a session then goes as all of them do.
  c11: async () => {
    const messages = [
      encodeRawMessage("~", {}),
      encodeRawMessage(messageType.login, "{", 1000n),
      encodeRawMessage(messageType.login, "[]"),
      encodeRawMessage(messageType.login, '{"timestamp":1e400}'),
      encodeRawMessage(messageType.login, loginOf(other.token), -1n),
    ];
    const clients = await Promise.all(messages.map(() => connectRaw({ port: world.keyhole.controlPort })));
    for (const [index, bytes] of messages.entries()) clients[index]?.control.sendBytes(bytes);
    await closedWithin(Promise.all(clients.map(({ closed }) => closed)), 20_000);
  },
  c15: async () => {
    await using app = await startLocalApp("app");
    const config = await requestClientConfig(world.keyhole, other.wallet, app.port);
    const token = /^metadatas\.token = "([^"]+)"$/m.exec(config)?.[1] ?? /token = "(frp_[^"]+)"/.exec(config)?.[1] ?? "";
    expect(token).toMatch(/^frp_/);
    const asSeed = `${config.replace(/^.*frp_.*$/m, "")}\n`.replace(/^\[metadatas\]$/m, "");
    await using client = startFrpcOn(world.keyhole, `auth.token = "${token}"\n${asSeed}`);
    await client.saw("CREDENTIAL_IN_AUTH_TOKEN");
    await client.saw("Delete auth.token and put the token in metadatas.token");
    expect(client.output()).not.toContain("login to server success");
  },
  // Sooner than the end of its token: a control without a proxy is kicked after ten seconds.
  c17: async () => {
    using client = await world.logIn(await world.makeTenant());
    await closedWithin(client.control.ended, 20_000);
  },
  c19: async () => {
    const tenant = await world.makeTenant();
    using client = await world.logIn(tenant);
    expect(await client.newProxy(proxyOf(tenant))).toBe("");
    await using deaf = await startLocalApp("deaf", () => {});
    using silent = await world.logIn(tenant, { run_id: client.ticket }, deaf.port);
    expect(await silent.newProxy(proxyOf(tenant))).toBe("");
    const answer = await visit(world.keyhole.edgePort, tenant.host, { timeoutMs: 15_000 });
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([504, "APP_TIMEOUT"]);
  },
  c23: async () => {
    const tenant = await world.makeTenant();
    using former = await world.logIn(tenant);
    expect(await former.newProxy(proxyOf(tenant))).toBe("");
    await waitForFact("the former serves", async () =>
      (await visit(world.keyhole.edgePort, tenant.host)).body === "stolen" ? true : undefined,
    );
    await using app = await startLocalApp("new");
    using _new = await world.logIn(tenant, {}, app.port).then(async (client) => {
      expect(await client.newProxy(proxyOf(tenant))).toBe("");
      return client;
    });
    await waitForFact("the new one serves", async () =>
      (await visit(world.keyhole.edgePort, tenant.host)).body === "new" ? true : undefined,
    );
    for (let round = 0; round < 50; round += 1) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => visit(world.keyhole.edgePort, tenant.host)));
      expect(answers.filter(({ body }) => body !== "new")).toEqual([]);
    }
  },
  c25: async () => {
    const tenant = await world.makeTenant();
    using client = await world.logIn(tenant);
    expect(await client.newProxy(proxyOf(tenant))).toBe("");
    expect(world.keyhole.output()).not.toContain(client.ticket);
    using stranger = await connectRaw({ port: world.keyhole.controlPort });
    const altered = client.ticket.slice(0, -1) + (client.ticket.endsWith("A") ? "B" : "A");
    for (const runId of [client.ticket.slice(0, -1), altered, tenant.label]) {
      expect(await stranger.newWorkConn({ run_id: runId }).next(messageType.startWorkConn)).not.toHaveProperty("proxy_name", tenant.label);
    }
  },
  // Held end to end, with a thousand requests, in owner-powers.test.ts; here the policy: who signed last serves.
  c27: async () => {
    const tenant = await world.makeTenant();
    using thief = await world.logIn(tenant);
    expect(await thief.newProxy(proxyOf(tenant))).toBe("");
    await using app = await startLocalApp("owner");
    const startedAt = performance.now();
    await using _owner = startFrpcOn(world.keyhole, await requestClientConfig(world.keyhole, tenant.wallet, app.port));
    await waitForFact("the owner serves", async () =>
      (await visit(world.keyhole.edgePort, tenant.host)).body === "owner" ? true : undefined,
    );
    expect(performance.now() - startedAt).toBeLessThan(2000);
  },
};

/** Entries about memory and the firewall: they need a machine of their own. */
const elsewhere: Readonly<Record<string, string>> = {
  c07: "the memory of a machine of its own",
  c09: "the memory of a machine of its own",
  c13: "the rate of frps's own log, which its machine limits",
  c21: "the rate of frps's own log, which its machine limits",
  c29: "packets that a firewall drops",
};

const entries = badInputsOf("c");

it("every entry of the corpus is tried here, or has the place where it will be", () => {
  expect(entries.map(({ id }) => id).sort()).toEqual([...Object.keys(tries), ...Object.keys(elsewhere)].sort());
});

it.each(Object.keys(tries).map((id): [string, string] => [id, entries.find((entry) => entry.id === id)?.input ?? ""]))(
  "4: %s: %s",
  async (id) => {
    await tries[id]?.();
  },
);
