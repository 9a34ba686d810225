import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { mintTicket, mintTunnelToken } from "@keyhole/core";
import { deriveLoginKey } from "@keyhole/frp";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  admitted,
  alice,
  type BenchClient,
  bob,
  codeOf,
  domain,
  type HookBench,
  type HookReply,
  loginContent,
  showOnDashboard,
  startHookBench,
  taking,
  ticketOf,
} from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench;
beforeEach(async () => {
  bench = await startHookBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const minutes = (count: number): void => {
  bench.now = new Date(bench.now.getTime() + count * 60_000);
};
const connected = async (token: string, runId = "", clientAddress = "127.0.0.1:40000"): Promise<BenchClient> => {
  const client = admitted(await bench.login(alice, token, runId, clientAddress));
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  return client;
};

describe("Login", () => {
  it("1: rewrites what frps believes about a client, and keeps nothing secret of it", async () => {
    const token = await bench.buyToken(alice);
    const reply = await bench.call(
      "Login",
      loginContent({
        metas: { token, wallet: "x" },
        user: alice.toUpperCase().replace("0X", "0x"),
        client_id: "bob.x",
        pool_count: 2 ** 31 - 1,
        hostname: "a\nb",
        client_spec: { type: "ssh-tunnel", always_auth_pass: true },
      }),
    );
    expect(reply.body).toMatchObject({ reject: false, unchange: false });
    const content = reply.body.content ?? {};
    expect(content).toMatchObject({
      user: alice,
      client_id: "",
      pool_count: 5,
      hostname: "",
      client_spec: {},
      privilege_key: deriveLoginKey("", 1795309034),
      os: "linux",
    });
    expect(content["run_id"]).toMatch(/^[\w-]{63}$/);
    expect(Object.keys(content["metas"] as object)).toEqual(["session"]);
    expect(reply.text).not.toContain(token);
  });

  it.each([
    ["no credential", {}, "CREDENTIAL_MISSING"],
    ["null metas", { metas: null }, "CREDENTIAL_MISSING"],
    ["an empty token", { metas: { token: "" } }, "CREDENTIAL_MISSING"],
    ["a negative pool count", { pool_count: -11 }, "POOL_COUNT"],
    ["an old client", { version: "0.57.9" }, "CLIENT_TOO_OLD"],
    ["a client without a version", { version: "" }, "CLIENT_TOO_OLD"],
    ["two credentials", { metas: { token: "frp_x", jwt: "a.b.c" } }, "CREDENTIAL_TWICE"],
    ["a token and a claim", { metas: { token: "frp_x", auth_claim: "x" } }, "CREDENTIAL_TWICE"],
    ["a malformed token", { metas: { token: "frp_x" } }, "TOKEN_MALFORMED"],
    ["a token in auth.token", { privilege_key: deriveLoginKey("frp_abcdef", 1795309034) }, "CREDENTIAL_IN_AUTH_TOKEN"],
    ["metas of a wrong type", { metas: { token: 7 } }, "LOGIN_MALFORMED"],
    ["a timestamp beyond what JSON keeps", { timestamp: 2 ** 63 }, "LOGIN_MALFORMED"],
    ["a fractional pool count", { pool_count: 1.5 }, "LOGIN_MALFORMED"],
  ])("13: refuses %s with its own code", async (_name, fields, code) => {
    const reply = await bench.call("Login", loginContent(fields));
    expect(reply.status).toBe(200);
    expect(codeOf(reply)).toBe(code);
    expect(reply.body.reject_reason).toMatch(/^[\x20-\x7e]{20,200}$/);
  });

  it("says which line to change when the token was put into auth.token", async () => {
    const reply = await bench.call("Login", loginContent({ privilege_key: deriveLoginKey("frp_abcdef", 1795309034) }));
    expect(reply.body.reject_reason).toContain("Delete auth.token and put the token in metadatas.token");
  });

  it("refuses a token of another key, of another label, from the future and an expired one", async () => {
    const issuedAt = bench.now;
    const foreign = mintTunnelToken({ label: alice, issuedAt }, { id: "x", secret: new Uint8Array(32).fill(1) });
    expect(codeOf(await bench.login(alice, foreign))).toBe("TOKEN_SIGNATURE");
    const token = await bench.buyToken(alice);
    expect(codeOf(await bench.call("Login", loginContent({ metas: { token }, user: bob })))).toBe("USER_MISMATCH");
    const early = mintTunnelToken({ label: alice, issuedAt: new Date(issuedAt.getTime() + 86_400_000) }, bench.ring.keys[0]);
    expect(codeOf(await bench.login(alice, early))).toBe("TOKEN_NOT_YET_VALID");
    minutes(60);
    expect(codeOf(await bench.login(alice, token))).toBe("TOKEN_EXPIRED");
  });

  it("gives a new session id and, to a new process, a new ticket each time", async () => {
    const token = await bench.buyToken(alice);
    const first = admitted(await bench.login(alice, token));
    const resumed = admitted(await bench.login(alice, token, first.ticket));
    const second = admitted(await bench.login(alice, token));
    expect(resumed.ticket).toBe(first.ticket);
    expect(second.ticket).not.toBe(first.ticket);
    expect(new Set([first, resumed, second].map((client) => client.user.metas["session"])).size).toBe(3);
  });

  it("1: takes another label's ticket, or a made-up run id, for none", async () => {
    const bobs = admitted(await bench.login(bob, await bench.buyToken(bob)));
    const mine = admitted(await bench.login(alice, await bench.buyToken(alice), bobs.ticket));
    expect(mine.ticket).not.toBe(bobs.ticket);
    const forged = mintTicket(
      alice,
      { generation: 1, issuedAt: bench.now, endsAt: bench.now, kind: "hmac" },
      { keys: [{ id: "x", secret: new Uint8Array(32) }] },
      randomBytes(16),
    );
    expect(admitted(await bench.login(alice, await bench.buyToken(alice), forged)).ticket).not.toBe(forged);
    expect(bench.kicked).not.toContain(bobs.ticket);
  });
});

describe("a second client", () => {
  it("2: displaces the first: marked, cut, kicked, and only then answered; the first is told why", async () => {
    const token = await bench.buyToken(alice);
    const first = await connected(token, "", "127.0.0.1:40001");
    minutes(1);
    bench.doorCalls.length = 0;
    const second = await connected(token, "", "127.0.0.1:40002");
    expect(bench.doorCalls).toEqual([`hand over ${alice}`, "cut 127.0.0.1:40001", `put ${alice}`]);
    expect(bench.kicked).toEqual([first.ticket]);
    expect(codeOf(await bench.login(alice, token, first.ticket))).toBe("REPLACED_BY_NEWER_CLIENT");
    expect(codeOf(await bench.newProxy(first))).toBe("REPLACED_BY_NEWER_CLIENT");
    await bench.closeProxy(second);
    expect(admitted(await bench.login(alice, token, first.ticket)).ticket).toBe(first.ticket);
  });

  it.each([
    ["has left before it is answered", "CLIENT_GONE", (address: string) => bench.gone.add(address)],
    ["the edge cannot name, and so could not cut", "EDGE_SILENT", (address: string) => bench.silent.add(address)],
  ])("2: that %s displaces nobody: %s", async (_name, code, lose) => {
    const token = await bench.buyToken(alice);
    await connected(token, "", "127.0.0.1:40001");
    bench.doorCalls.length = 0;
    lose("127.0.0.1:40002");
    expect(codeOf(await bench.login(alice, token, "", "127.0.0.1:40002"))).toBe(code);
    expect([bench.doorCalls, bench.kicked]).toEqual([[], []]);
    expect((await bench.plugin.readStatus(alice)).status).toBe("connected");
  });

  it("2: that left with its answer keeps the label from nobody for longer than two seconds", async () => {
    const token = await bench.buyToken(alice);
    const first = await connected(token, "", "127.0.0.1:40001");
    admitted(await bench.login(alice, token, "", "127.0.0.1:40002"));
    expect(codeOf(await bench.login(alice, token, first.ticket))).toBe("REPLACED_BY_NEWER_CLIENT");
    bench.frps = { clients: [], proxies: [] };
    bench.now = new Date(bench.now.getTime() + 2100);
    await bench.plugin.reconcile();
    expect(codeOf(await bench.login(alice, token, first.ticket))).toBe("admitted");
  });

  it("2: is refused while a kick takes longer than the budget, and the kick goes on", async () => {
    const token = await bench.buyToken(alice);
    const first = await connected(token);
    let release = (): void => {};
    bench.onKick = (runId) =>
      runId === first.ticket
        ? Promise.race([
            new Promise<void>((resolve) => {
              release = resolve;
            }),
            new Promise<never>((_resolve, reject) => setTimeout(() => reject(new Error("frps is busy")), 700)),
          ])
        : Promise.resolve();
    const reply = await bench.login(alice, token);
    expect(codeOf(reply)).toBe("HANDOVER_PENDING");
    release();
    bench.onKick = async () => {};
    expect(codeOf(await bench.login(alice, token))).toBe("admitted");
  });

  it("2: of two at once with the first answer delayed, the later generation holds", async () => {
    const token = await bench.buyToken(alice);
    const former = await connected(token);
    minutes(1);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    bench.onKick = (runId) => (runId === former.ticket ? held : Promise.resolve());
    const slow = bench.login(alice, token, "", "127.0.0.1:40011");
    await waitForFact("the former client is being kicked", () => (bench.kicked.length > 0 ? true : undefined));
    const fast = admitted(await bench.login(alice, token, "", "127.0.0.1:40012"));
    release();
    expect(codeOf(await slow)).toBe("REPLACED_BY_NEWER_CLIENT");
    expect(codeOf(await bench.newProxy(fast))).toBe("admitted");
    expect(bench.doorCalls).toContain("cut 127.0.0.1:40011");
  });

  it("2: of a hundred identical logins at once exactly one is the holder", async () => {
    const token = await bench.buyToken(alice);
    const results = await Promise.all(Array.from({ length: 100 }, () => bench.login(alice, token)));
    const proxies = await Promise.all(results.filter((result) => typeof result !== "string").map((client) => bench.newProxy(client)));
    expect(proxies.filter((reply) => codeOf(reply) === "admitted")).toHaveLength(1);
    expect(bench.plugin.stats().sessions).toBe(1);
  });

  it("2: with an older token does not push out the owner, who signed again", async () => {
    const stolen = await bench.buyToken(alice);
    minutes(1);
    await connected(await bench.buyToken(alice));
    expect(codeOf(await bench.login(alice, stolen))).toBe("NEWER_CREDENTIAL_IN_USE");
  });

  it("2: who slipped in with the first token during a network cut does not outrank the owner who had renewed", async () => {
    const first = await bench.buyToken(alice);
    const owner = await connected(first);
    minutes(1);
    await bench.buyToken(alice);
    // Any login of the label, or the deadline, takes notice of the renewal.
    expect(codeOf(await bench.login(alice, first))).toBe("NEWER_CREDENTIAL_IN_USE");
    await bench.closeProxy(owner);
    minutes(1);
    const thief = await connected(first, "", "127.0.0.1:40666");
    minutes(1);
    expect(codeOf(await bench.login(alice, first, owner.ticket))).toBe("admitted");
    expect(bench.kicked).toContain(thief.ticket);
    expect(codeOf(await bench.login(alice, first, thief.ticket))).toBe("NEWER_CREDENTIAL_IN_USE");
  });
});

describe("NewProxy", () => {
  it("1: writes the one host itself, in a letter case that was never used before, and the marker", async () => {
    const token = await bench.buyToken(alice);
    const seen = new Set<unknown>();
    for (let round = 0; round < 5; round += 1) {
      const client = admitted(await bench.login(alice, token));
      const reply = await bench.newProxy(client, { bandwidth_limit: "1MB", metas: { a: "b" }, annotations: {} });
      const content = reply.body.content ?? {};
      const [host] = content["custom_domains"] as string[];
      expect(host?.toLowerCase()).toBe(`${alice}.${domain}`);
      expect(content).toMatchObject({
        proxy_type: "http",
        proxy_name: `${alice}.app`,
        headers: { "X-Forwarded-Proto": "http" },
        response_headers: { "x-keyhole-app": "1" },
      });
      for (const field of ["subdomain", "bandwidth_limit", "metas", "annotations", "locations", "group"])
        expect(content[field]).toBeUndefined();
      seen.add(host);
    }
    expect(seen.size).toBe(5);
  });

  it.each([
    ["type tcp", { proxy_type: "tcp" }, "PROXY_TYPE"],
    ["an empty type, which frps takes for tcp", { proxy_type: "" }, "PROXY_TYPE"],
    ["type HTTP", { proxy_type: "HTTP" }, "PROXY_TYPE"],
    ["type stcp", { proxy_type: "stcp", sk: "x" }, "PROXY_TYPE"],
    ["another label as subdomain", { subdomain: bob }, "SUBDOMAIN_NOT_OWNED"],
    ["a wildcard subdomain", { subdomain: "*" }, "SUBDOMAIN_NOT_OWNED"],
    ["a custom domain", { custom_domains: [`${bob}.${domain}`] }, "CUSTOM_DOMAIN_FORBIDDEN"],
    ["a wildcard domain", { custom_domains: ["*"] }, "CUSTOM_DOMAIN_FORBIDDEN"],
    ["a location", { locations: ["/login"] }, "LOCATIONS_FORBIDDEN"],
    ["an empty location", { locations: [""] }, "LOCATIONS_FORBIDDEN"],
    ["a route by user", { route_by_http_user: "bob" }, "PROXY_FIELD"],
    ["a group", { group: "g" }, "GROUP_FORBIDDEN"],
    ["a group key", { group_key: "k" }, "GROUP_FORBIDDEN"],
    ["a password", { http_user: "a", http_pwd: "b" }, "PROXY_FIELD"],
    ["a host rewrite", { host_header_rewrite: "metadata.internal" }, "HOST_REWRITE_FORBIDDEN"],
    ["request headers", { headers: { a: "b" } }, "PROXY_FIELD"],
    ["response headers", { response_headers: { "Set-Cookie": "a=b; Domain=.localhost" } }, "RESPONSE_HEADERS_FORBIDDEN"],
    ["compression", { use_compression: true }, "TRANSPORT_OPTION"],
    ["encryption", { use_encryption: true }, "TRANSPORT_OPTION"],
    ["annotations", { annotations: { a: "b" } }, "ANNOTATIONS_FORBIDDEN"],
    ["a remote port", { remote_port: 80 }, "PROXY_FIELD"],
    ["a multiplexer", { multiplexer: "httpconnect" }, "PROXY_FIELD"],
    ["a field of a frp to come", { hijack: "yes" }, "PROXY_FIELD"],
    ["another label's name", { proxy_name: `${bob}.app` }, "PROXY_NAME"],
    ["the stock name of every personal server", { proxy_name: "personal-server" }, "PROXY_NAME_SHARED"],
    ["another personal server's name", { proxy_name: `personal-server-${bob}` }, "PROXY_NAME"],
    ["a name with a newline", { proxy_name: `${alice}.a\nb` }, "PROXY_NAME"],
    ["no name", { proxy_name: "" }, "PROXY_NAME"],
  ])("1: refuses %s", async (_name, fields, code) => {
    const client = admitted(await bench.login(alice, await bench.buyToken(alice)));
    const reply = await bench.newProxy(client, fields);
    expect([codeOf(reply), bench.doorCalls.filter((call) => call.startsWith("put"))]).toEqual([code, []]);
  });

  it.each([
    alice,
    `${alice}.web`,
    `${alice}.personal-server`,
    `${alice}.personal-server-${alice}`,
    `personal-server-${alice}`,
    "ps-0123abcd",
  ])("admits the name %s", async (proxyName) => {
    const client = admitted(await bench.login(alice, await bench.buyToken(alice)));
    expect(codeOf(await bench.newProxy(client, { proxy_name: proxyName, subdomain: alice.toUpperCase().replace("0X", "0x") }))).toBe(
      "admitted",
    );
  });

  it("refuses the proxy after the fourth of one session", async () => {
    const client = admitted(await bench.login(alice, await bench.buyToken(alice)));
    const replies: string[] = [];
    for (let index = 0; index < 5; index += 1) replies.push(codeOf(await bench.newProxy(client, { proxy_name: `${alice}.${index}` })));
    expect(replies).toEqual(["admitted", "admitted", "admitted", "admitted", "PROXY_LIMIT"]);
  });

  it("2: of a session that was displaced while the edge was being told is refused", async () => {
    const token = await bench.buyToken(alice);
    const first = admitted(await bench.login(alice, token));
    bench.onPut = async () => {
      bench.onPut = async () => {};
      minutes(1);
      admitted(await bench.login(alice, token));
    };
    expect(codeOf(await bench.newProxy(first))).toBe("SESSION_ENDED");
  });

  it("4: with a field of a wrong type is refused, not passed on", async () => {
    const client = admitted(await bench.login(alice, await bench.buyToken(alice)));
    expect(codeOf(await bench.newProxy(client, { custom_domains: "x" }))).toBe("PROXY_MALFORMED");
  });

  it("is judged by its ticket when the session is not known: a restart between Login and NewProxy costs nothing", async () => {
    const token = await bench.buyToken(alice);
    const ticket = mintTicket(
      alice,
      { generation: bench.now.getTime(), issuedAt: bench.now, endsAt: new Date(bench.now.getTime() + 3_600_000), kind: "hmac" },
      bench.ring,
      randomBytes(16),
    );
    const client: BenchClient = {
      label: alice,
      ticket,
      user: { user: alice, metas: { session: "of-the-former-process" }, run_id: ticket },
    };
    expect(codeOf(await bench.newProxy(client))).toBe("admitted");
    expect(codeOf(await bench.login(alice, token, ticket))).toBe("admitted");
  });

  it("1: without a session or a ticket of the label is refused, and the client is kicked so that it logs in again", async () => {
    const bobs = admitted(await bench.login(bob, await bench.buyToken(bob)));
    const stranger: BenchClient = {
      label: alice,
      ticket: "made-up",
      user: { user: alice, metas: { session: bobs.user.metas["session"] ?? "" }, run_id: "made-up" },
    };
    expect(codeOf(await bench.newProxy(stranger))).toBe("SESSION_UNKNOWN");
    await waitForFact("the kick", () => (bench.kicked.includes("made-up") ? true : undefined));
    expect(codeOf(await bench.newProxy({ ...stranger, user: { ...stranger.user, user: "nobody" } }))).toBe("SESSION_UNKNOWN");
  });
});

describe("CloseProxy", () => {
  it("ends the session with its last proxy, and takes the label offline", async () => {
    const client = await connected(await bench.buyToken(alice));
    await bench.closeProxy(client);
    expect(bench.doorCalls.at(-1)).toBe(`delete ${alice} offline`);
    expect((await bench.plugin.readStatus(alice)).status).toBe("disconnected");
    const status = await waitForFact("last seen", async () => {
      const seen = await bench.plugin.readStatus(alice);
      return seen.status === "disconnected" && seen.lastSeen !== null ? seen : undefined;
    });
    expect(status.lastSeen).toEqual(bench.now);
  });

  it("2: a client that closes its proxy and opens another can still be cut", async () => {
    const token = await bench.buyToken(alice);
    const first = await connected(token, "", "127.0.0.1:40077");
    await bench.closeProxy(first);
    expect(codeOf(await bench.newProxy(first, { proxy_name: `${alice}.again` }))).toBe("admitted");
    minutes(1);
    await connected(token, "", "127.0.0.1:40078");
    expect(bench.doorCalls).toContain("cut 127.0.0.1:40077");
  });

  it("2: a late one closes only the session that it came from", async () => {
    const token = await bench.buyToken(alice);
    const first = await connected(token);
    const again = await connected(token, first.ticket);
    await bench.closeProxy(first);
    expect((await bench.plugin.readStatus(alice)).status).toBe("connected");
    await bench.closeProxy(again);
    expect((await bench.plugin.readStatus(alice)).status).toBe("disconnected");
  });
});

describe("deadlines and the dashboard", () => {
  it("12: a session is cut and kicked at its deadline, and serves on when a newer token was bought", async () => {
    const client = await connected(await bench.buyToken(alice), "", "127.0.0.1:40099");
    minutes(59);
    await bench.buyToken(alice);
    minutes(2);
    await waitForFact("the deadline was looked at", () => (bench.log.lines.length > 0 ? true : undefined));
    expect((await bench.plugin.readStatus(alice)).status).toBe("connected");
    minutes(60);
    await waitForFact("the session is evicted", () => (bench.kicked.includes(client.ticket) ? true : undefined), { timeoutMs: 5000 });
    expect(bench.doorCalls).toContain(`delete ${alice} ended`);
    expect(bench.doorCalls).toContain("cut 127.0.0.1:40099");
    expect(codeOf(await bench.newProxy(client))).toBe("SESSION_UNKNOWN");
  });

  it("7: who is gone from the dashboard is offline, though no CloseProxy came", async () => {
    const client = await connected(await bench.buyToken(alice));
    await bench.plugin.reconcile();
    bench.frps = showOnDashboard([client]);
    minutes(1);
    await bench.plugin.reconcile();
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "connected", routable: true, stale: false });
    bench.frps = "broken";
    minutes(1);
    expect(await bench.plugin.reconcile()).toBe(false);
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "connected", reason: "SERVER_SILENT", stale: true });
    bench.frps = "gone";
    await bench.plugin.reconcile();
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "disconnected", reason: "SERVER_AWAY" });
  });

  it("what visitors met at the edge decides whether a tunnel counts as routable, and only what its own session let them meet", async () => {
    const failure = { label: alice, at: bench.now, failure: "APP_UNREACHABLE" } as const;
    const read = async (): Promise<unknown> => {
      await bench.plugin.reconcile();
      const status = await bench.plugin.readStatus(alice);
      return [status.state, status.reason];
    };
    bench.evidence = [failure];
    minutes(1);
    const client = await connected(await bench.buyToken(alice));
    bench.frps = showOnDashboard([client]);
    expect(await read()).toEqual(["routable", undefined]);
    minutes(1);
    bench.evidence = [{ ...failure, at: bench.now }];
    expect(await read()).toEqual(["connected", "APP_UNREACHABLE"]);
    bench.evidence = [{ ...failure, at: bench.now, failure: undefined }];
    expect(await read()).toEqual(["routable", undefined]);
    bench.evidence = [{ ...failure, at: bench.now, failure: "APP_TIMEOUT" }];
    expect(await read()).toEqual(["connected", "APP_TIMEOUT"]);
    // Nobody has asked since: what it was then says little now.
    minutes(1);
    expect(await read()).toEqual(["routable", undefined]);
    bench.isEdgeAway = true;
    minutes(1);
    expect(await read()).toEqual(["connected", "EDGE_AWAY"]);
  });

  it("a label that is not served says why", async () => {
    const read = async (): Promise<unknown> => {
      const status = await bench.plugin.readStatus(alice);
      return [status.status, status.state, status.reason];
    };
    await bench.plugin.reconcile();
    expect(await read()).toEqual(["disconnected", "offline", "NEVER_SEEN"]);
    const token = await bench.buyToken(alice);
    const client = admitted(await bench.login(alice, token));
    expect(await read()).toEqual(["disconnected", "admitted", "CONNECTING"]);
    await bench.newProxy(client);
    expect((await bench.plugin.readStatus(alice)).status).toBe("connected");
    const newcomer = admitted(await bench.login(alice, token));
    expect(await read()).toEqual(["disconnected", "handing-over", "HANDING_OVER"]);
    await bench.newProxy(newcomer);
    await bench.closeProxy(newcomer);
    expect(await read()).toEqual(["disconnected", "offline", "CLOSED"]);
    await connected(token);
    await bench.revoke(alice);
    await bench.plugin.enforceRevocations();
    expect((await read()) as string[]).toContain("EVICTED");
  });

  it("a client that logs in and registers nothing for ten seconds is kicked, and so is one that nobody knows", async () => {
    await bench.plugin.reconcile();
    const client = admitted(await bench.login(alice, await bench.buyToken(alice)));
    bench.frps = {
      clients: [...showOnDashboard([client]).clients, { runId: "stranger", user: "", isOnline: true }],
      proxies: [],
    };
    await bench.plugin.reconcile();
    minutes(1);
    await bench.plugin.reconcile();
    expect(new Set(bench.kicked)).toEqual(new Set([client.ticket, "stranger"]));
    expect(bench.plugin.stats().sessions).toBe(0);
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "disconnected", lastSeen: null });
  });

  it("a label whose hand-over failed, and that nobody takes up, is offline", async () => {
    const token = await bench.buyToken(alice);
    await connected(token);
    bench.onKick = async () => {
      throw new Error("frps is busy");
    };
    expect(codeOf(await bench.login(alice, token))).toBe("HANDOVER_PENDING");
    await waitForFact("the label is taken offline", () => (bench.doorCalls.includes(`delete ${alice} offline`) ? true : undefined));
  });

  it("a label that nobody serves after a hand-over is offline", async () => {
    const token = await bench.buyToken(alice);
    await connected(token);
    admitted(await bench.login(alice, token));
    await waitForFact("the label is taken offline", () => (bench.doorCalls.includes(`delete ${alice} offline`) ? true : undefined));
  });
});

describe("what is not frps", () => {
  it("10: a stranger on loopback gets a 401, whatever it says", async () => {
    expect((await bench.raw({ path: "//", headers: { authorization: "" } })).status).toBe(401);
    for (const authorization of ["", "Basic ", "Basic eDp5", `Basic ${Buffer.from("frps:wrong").toString("base64")}`]) {
      const reply = await bench.raw({ headers: { authorization }, body: "{" });
      expect([reply.status, JSON.parse(reply.text).code]).toEqual([401, "HOOK_UNAUTHORIZED"]);
    }
  });

  it.each([
    ["GET", { method: "GET" }, 405, "METHOD_NOT_ALLOWED"],
    ["another path", { path: "/else?op=Login" }, 404, "NOT_FOUND"],
    [
      "an operation that is not hooked",
      { path: "/hook?op=Ping", body: '{"version":"0.1.0","op":"Ping","content":{}}' },
      400,
      "OP_UNEXPECTED",
    ],
    ["a target that is no path", { path: "//" }, 404, "NOT_FOUND"],
    ["NewWorkConn", { path: "/hook?op=NewWorkConn", body: '{"version":"0.1.0","op":"NewWorkConn","content":{}}' }, 400, "OP_UNEXPECTED"],
    ["two operations", { path: "/hook?op=Login", body: '{"version":"0.1.0","op":"NewProxy","content":{}}' }, 400, "OP_MISMATCH"],
    ["no JSON", { body: "{" }, 400, "BODY_INVALID_JSON"],
    ["an empty body", { body: "" }, 400, "BODY_INVALID_JSON"],
    ["a body of null", { body: "null" }, 400, "OP_UNEXPECTED"],
    ["a body above 96 KiB", { body: `"${"x".repeat(100_000)}"` }, 413, "BODY_TOO_LARGE"],
  ])("4: %s gets a 4xx problem", async (_name, options, status, code) => {
    const reply = await bench.raw(options);
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([status, code]);
  });

  it("4: a body that never ends is cut off, chunked or not", async () => {
    const authorization = `Basic ${Buffer.from("frps:hook-password-of-the-bench").toString("base64")}`;
    const socket = connect(bench.plugin.hookPort, "127.0.0.1");
    socket.write(`POST /hook?op=Login HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
    let answer = "";
    socket.on("data", (data) => {
      answer += String(data);
    });
    socket.on("error", () => {});
    const isOver = new Promise((resolve) => socket.once("close", resolve));
    for (let index = 0; index < 12 && !socket.destroyed; index += 1) socket.write(chunk);
    await isOver;
    expect(answer).toContain("413");
  });

  it("4: whatever JSON is the content of a hooked operation, the answer is 200 and a whole decision", async () => {
    const decision = (reply: HookReply): void => {
      expect(reply.status).toBe(200);
      expect(typeof reply.body.reject).toBe("boolean");
      if (reply.body.reject === true) expect(reply.body.reject_reason).toMatch(/^[\x20-\x7e]{10,200}$/);
      else {
        expect(typeof reply.body.unchange).toBe("boolean");
        if (reply.body.unchange === false) expect(reply.body.content).toEqual(expect.any(Object));
      }
    };
    const names = fc.constantFrom(
      "metas",
      "user",
      "run_id",
      "timestamp",
      "privilege_key",
      "pool_count",
      "client_address",
      "proxy_name",
      "proxy_type",
      "custom_domains",
      "subdomain",
      "client_spec",
      "headers",
      "__proto__",
    );
    const content = fc.dictionary(names, fc.jsonValue(), { maxKeys: 8 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("Login", "NewProxy", "CloseProxy"), content, async (op, fields) => {
        decision(
          await bench.call(op, op === "Login" ? loginContent(fields) : { user: { user: alice, metas: null, run_id: "x" }, ...fields }),
        );
      }),
      { numRuns: 300 },
    );
  });

  it("4: whatever bytes arrive, the answer is a 4xx or a decision, and the hook lives", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        const reply = await bench.raw({ body: Buffer.from(bytes) });
        expect(reply.status === 200 || (reply.status >= 400 && reply.status < 500)).toBe(true);
      }),
      { numRuns: 100 },
    );
    expect(codeOf(await bench.login(alice, await bench.buyToken(alice)))).toBe("admitted");
  });
});

describe("faults and secrets", () => {
  it("4: a store that cannot be read is a refusal at Login, within a second", async () => {
    const token = await bench.buyToken(alice);
    await bench.tokens[Symbol.asyncDispose]();
    const reply = await bench.call("Login", loginContent({ metas: { token } }));
    expect([reply.status, codeOf(reply)]).toEqual([200, "STORE_UNAVAILABLE"]);
  });

  it("4: a decision that takes too long is refused before frpc gives up", async () => {
    const token = await bench.buyToken(alice);
    const first = await connected(token);
    bench.onKick = () => new Promise(() => {});
    const startedAt = performance.now();
    const reply = await bench.login(alice, token);
    expect(codeOf(reply)).toBe("HANDOVER_PENDING");
    expect(performance.now() - startedAt).toBeLessThan(935);
    expect([bench.kicked, bench.plugin.stats().sessions]).toEqual([[first.ticket], 0]);
  });

  it("2, 4: a login whose records come too late displaces nobody, and no session stays behind for which nobody waits", async () => {
    const token = await bench.buyToken(alice);
    await connected(token);
    bench.onRead = () => taking(750);
    expect(codeOf(await bench.login(alice, token))).toBe("HANDOVER_PENDING");
    bench.onRead = () => taking(1000);
    const late = bench.call("Login", loginContent({ metas: { token: await bench.buyToken(bob) } }));
    expect(codeOf(await late)).toBe("INTERNAL_ERROR");
    bench.onRead = async () => {};
    await waitForFact("the late login is refused, to nobody", () =>
      bench.log.lines.some((line) => line.includes("login.refused") && line.includes(bob)) ? true : undefined,
    );
    expect([bench.kicked, bench.plugin.stats().sessions]).toEqual([[], 1]);
  });

  it("9: no token, ticket, session secret or password is in any log line or refusal", async () => {
    const token = await bench.buyToken(alice);
    const first = await connected(token);
    await connected(token);
    const refusals = [
      await bench.login(alice, token, first.ticket),
      (await bench.call("Login", loginContent({ privilege_key: "x" }))).text,
      (await bench.newProxy(first)).text,
    ];
    for (const secret of [token, first.ticket, "hook-password-of-the-bench", token.slice(-64)]) {
      expect(bench.log.lines.join("\n")).not.toContain(secret);
      expect(JSON.stringify(refusals)).not.toContain(secret);
    }
    expect(bench.log.lines.length).toBeGreaterThan(3);
    expect(ticketOf(bench, first)).toBeDefined();
  });
});
