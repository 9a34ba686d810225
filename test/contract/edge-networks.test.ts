/**
 * Blocked networks at the edge: whoever comes from one is told so on every host before anybody is asked, its clients do not
 * get in, and what is open from it ends with the block. Loopback has many addresses: each is a network of its own here.
 */
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request } from "node:http";
import { request as requestSecure } from "node:https";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Network, parseNetwork } from "@keyhole/core";
import { createDoor, type NodeEdge } from "@keyhole/edge";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { first } from "./edge-certificates.ts";
import { asApp, domain, eventually, type Harness, hostOf, labelOf, live, offline, openHarness, visit } from "./edge-harness.ts";

/** A network, and an address in it. The others are in no network that a test blocks. */
const [abuser, other] = ["127.0.0.66", "127.0.0.5"];
const network = networkOf("127.0.0.64/28");
const host = hostOf(live);
const hosts = [host, hostOf(offline), domain, `api.${domain}`, `nobody.${domain}`, "elsewhere.example"];

let harness: Harness;
beforeEach(async () => {
  harness = await openHarness();
});
afterEach(() => harness[Symbol.asyncDispose]());

function networkOf(text: string): Network {
  const parsed = parseNetwork(text);
  if (parsed === undefined) throw new Error(`no network: ${text}`);
  return parsed;
}
/** Status and code of one request. */
async function told(edge: NodeEdge, localAddress: string, to = host, headers: Record<string, string> = {}): Promise<string> {
  const { status, json } = await visit(edge, to, { localAddress, headers });
  return `${status} ${json["code"] ?? ""}`.trim();
}

describe("a visitor", () => {
  it("12: of a blocked network is 403 on every host, nobody is asked, others are served, and it is served again once unblocked", async () => {
    const before = await Promise.all(hosts.map((to) => told(harness.edge, abuser, to)));
    expect(before).toEqual(["200", "503 TUNNEL_OFFLINE", "200", "200", "404 UNKNOWN_HOST", "421 HOST_NOT_SERVED"]);
    const seen = harness.frps.seen.length + harness.tokenService.seen.length;
    await harness.door.blockNetwork(network);
    for (const to of hosts) expect(await told(harness.edge, abuser, to)).toBe("403 NETWORK_BLOCKED");
    for (const method of ["POST", "HEAD", "OPTIONS", "DELETE"])
      expect((await visit(harness.edge, host, { localAddress: abuser, method, body: method === "POST" ? "x" : "" })).status).toBe(403);
    expect(await told(harness.edge, abuser, host, { Expect: "something" })).toBe("403 NETWORK_BLOCKED");
    const knock = new WebSocket(`ws://127.0.0.1:${harness.edge.visitorsPort}`, { headers: { Host: host }, localAddress: abuser });
    const [error] = (await once(knock, "error")) as [Error];
    expect(error.message).toContain("403");
    expect(harness.frps.seen.length + harness.tokenService.seen.length).toBe(seen);
    expect(await Promise.all(hosts.map((to) => told(harness.edge, other, to)))).toEqual(before);
    expect(await told(harness.edge, "127.0.0.80")).toBe("200");
    await harness.door.unblockNetwork(network);
    expect(await Promise.all(hosts.map((to) => told(harness.edge, abuser, to)))).toEqual(before);
  });

  it("stays blocked by one network when another that holds it too is unblocked", async () => {
    const wide = networkOf("127.0.0.0/24");
    await harness.door.blockNetwork(network);
    await harness.door.blockNetwork(wide);
    await harness.door.unblockNetwork(wide);
    expect([await told(harness.edge, abuser), await told(harness.edge, other)]).toEqual(["403 NETWORK_BLOCKED", "200"]);
  });

  it("is judged by the address that it has, not by the one that it claims", async () => {
    await harness.door.blockNetwork(network);
    for (const name of ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X_Forwarded_For"]) {
      expect(await told(harness.edge, abuser, host, { [name]: other })).toBe("403 NETWORK_BLOCKED");
      expect(await told(harness.edge, other, host, { [name]: abuser })).toBe("200");
    }
  });

  it("is the same visitor in any spelling: IPv4 on a socket of IPv6, and in what a trusted proxy says", async () => {
    const dual = await harness.again({ visitors: { host: "::", port: 0 } });
    await dual.runtime.blockNetwork(networkOf("::ffff:127.0.0.66"));
    expect([await told(dual, abuser), await told(dual, other)]).toEqual(["403 NETWORK_BLOCKED", "200"]);
    const proxied = await harness.again({ trustedProxies: ["127.0.0.1"] });
    await proxied.runtime.blockNetwork(networkOf("192.0.2.0/24"));
    await proxied.runtime.blockNetwork(networkOf("2001:db8::/32"));
    for (const source of ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "[2001:DB8:0::7]:4", "192.0.2.9:80"])
      expect(await told(proxied, "127.0.0.1", host, { "X-Forwarded-For": source })).toBe("403 NETWORK_BLOCKED");
    for (const source of ["192.0.3.7", "2001:db9::1", "192.0.2.7, 198.51.100.1"])
      expect(await told(proxied, "127.0.0.1", host, { "X-Forwarded-For": source })).toBe("200");
  });
});

describe("a proxy of ours before the visitors", () => {
  it("keeps its connection: only what is under way for a blocked visitor ends, and the visitor after it is served on the same one", async () => {
    const edge = await harness.again({ trustedProxies: ["127.0.0.1"] });
    harness.frps.handle = (req, res) => (req.url === "/stream" ? asApp(res).write("on") : asApp(res).end("done"));
    const streams = ["192.0.2.7", "198.51.100.7"].map((source) => open(edge, { path: "/stream", source }));
    const [blocked, kept] = await Promise.all(streams.map(firstBytes));
    const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
    const ask = async (source: string): Promise<readonly [number, number]> => {
      const answer = await answerOf(open(edge, { source, agent }));
      const { localPort } = answer.socket;
      await once(answer.resume(), "end");
      return [answer.statusCode ?? 0, localPort ?? 0];
    };
    const [, port] = await ask("192.0.2.7");
    await edge.runtime.blockNetwork(networkOf("192.0.2.0/24"));
    expect([await ask("192.0.2.7"), await ask("198.51.100.7")]).toEqual([
      [403, port],
      [200, port],
    ]);
    await eventually("the stream is cut", () => blocked?.destroyed === true && !blocked.complete);
    expect(kept?.destroyed).toBe(false);
    agent.destroy();
    kept?.destroy();
  });
});

describe.each([
  ["HTTP", false],
  ["HTTPS", true],
])("what a visitor has open over %s when its network is blocked", (_name, isSecure) => {
  beforeEach(async () => {
    await harness[Symbol.asyncDispose]();
    harness = await openHarness({ isSecure });
  });

  it("12: ends, to its app too, and everybody else's goes on: downloads, uploads, held requests, WebSockets, silence", async () => {
    const { edge, frps } = harness;
    const sockets = new WebSocketServer({ noServer: true });
    sockets.on("headers", (headers) => void headers.push("X-Keyhole-App: 1"));
    frps.server.on("upgrade", (req, socket, head) => sockets.handleUpgrade(req, socket, head, () => {}));
    let atApp = 0;
    frps.handle = (req, res) => {
      atApp += 1;
      res.on("close", () => {
        atApp -= 1;
      });
      req.resume();
      if (req.url === "/download") asApp(res, 200, { "Content-Length": "1000" }).write("first bytes");
      if (req.url === "/old") asApp(res).write("first bytes");
    };
    await harness.door.handOver(labelOf("b"));

    const openAll = async (source: string) => {
      const download = await firstBytes(open(edge, { path: "/download", localAddress: source }));
      const upload = open(edge, { path: "/upload", method: "POST", localAddress: source });
      upload.write("some");
      const held = open(edge, { to: hostOf(labelOf("b")), localAddress: source });
      held.end();
      const socket = new WebSocket(`${isSecure ? "wss" : "ws"}://127.0.0.1:${edge.visitorsPort}`, {
        headers: { Host: host },
        localAddress: source,
        rejectUnauthorized: false,
      });
      socket.on("error", () => {});
      await once(socket, "open");
      const idle = connect({ host: "127.0.0.1", port: edge.visitorsPort, localAddress: source }).on("error", () => {});
      await once(idle, "connect");
      return [
        () => download.destroyed && !download.complete,
        () => upload.destroyed,
        () => held.destroyed,
        () => socket.readyState === WebSocket.CLOSED,
        () => idle.destroyed,
      ];
    };
    const ended = await openAll(abuser);
    const going = await openAll(other);
    await eventually("all is under way", () => atApp === 4 && edge.stats().held === 2 && edge.stats().openVisitorConnections === 10);
    await harness.door.blockNetwork(network);
    await eventually("all of the blocked network is over", () => ended.every((is) => is()), 1000);
    await eventually("the app knows it", () => atApp === 2 && sockets.clients.size === 1 && edge.stats().held === 1, 1000);
    expect(going.map((is) => is())).toEqual([false, false, false, false, false]);
    expect(edge.stats().openVisitorConnections).toBe(5);
    expect(harness.logged).toContainEqual({
      level: "info",
      fields: { clients: 0, visitors: 5 },
      message: "connections were ended: their networks are blocked",
    });
    for (const client of sockets.clients) client.terminate();
  });
});

describe("a client", () => {
  const opened: Socket[] = [];
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.destroy();
  });
  const dialPlain = (edge: NodeEdge, localAddress: string): Socket => {
    const socket = connect({ host: "127.0.0.1", port: edge.controlPort, localAddress }).on("error", () => {});
    opened.push(socket);
    return socket;
  };
  const dial = (edge: NodeEdge, localAddress: string): TLSSocket => {
    const client = connectTls({ socket: dialPlain(edge, localAddress), ca: first.cert, servername: "localhost" });
    return client.on("error", () => {}).resume();
  };
  /** Errors are no surprise here: what is cut is reset. */
  const happens = (socket: Socket, event: string): Promise<void> => new Promise((resolve) => socket.once(event, () => resolve()));
  const isLetIn = (client: TLSSocket): Promise<boolean> =>
    Promise.race([happens(client, "secureConnect").then(() => true), happens(client, "close").then(() => false)]);
  const login = async (edge: NodeEdge, localAddress: string) => {
    const accepted = once(harness.frps.control, "connection");
    const client = dial(edge, localAddress);
    expect(await isLetIn(client)).toBe(true);
    const [frps] = (await accepted) as [Socket];
    frps.resume().on("end", () => frps.end());
    const address = `${frps.remoteAddress}:${frps.remotePort}`;
    await eventually("it is known", async () => (await edge.runtime.connectionOf(address)) !== undefined);
    return { client, frps, id: (await edge.runtime.connectionOf(address))?.id ?? "" };
  };

  it("12: of a blocked network is closed before TLS, counted and told once; others get in, and it does once unblocked", async () => {
    const { edge, door } = harness;
    await door.blockNetwork(network);
    const received: string[] = [];
    const refused = [1, 2, 3].map(() => dial(edge, abuser).on("data", () => received.push("bytes")));
    expect(await Promise.all(refused.map(isLetIn))).toEqual([false, false, false]);
    expect([received.length, edge.stats().refusedConnectionsTotal, edge.stats().controlConnections]).toEqual([0, 3, 0]);
    expect(harness.logged.filter(({ message }) => message.includes("its network is blocked"))).toMatchObject([
      { level: "warn", fields: { network: "127.0.0.0/24", refusals: 1 } },
    ]);
    expect(await isLetIn(dial(edge, other))).toBe(true);
    await door.unblockNetwork(network);
    expect(await isLetIn(dial(edge, abuser))).toBe(true);
  });

  it("12: that is connected is cut on both sides by the block, whatever stage it is at, and no other is", async () => {
    const { edge, door } = harness;
    const theirs = await login(edge, abuser);
    const mine = await login(edge, other);
    await door.claim(theirs.id, { holder: "theirs", label: live });
    await door.claim(mine.id, { holder: "mine", label: labelOf("b") });
    // Connected, and silent before TLS.
    const silent = dialPlain(edge, abuser);
    await once(silent, "connect");
    const over = Promise.all([theirs.client, theirs.frps, silent].map((socket) => happens(socket, "close")));
    const start = performance.now();
    await door.blockNetwork(network);
    await over;
    expect(performance.now() - start).toBeLessThan(1000);
    expect(await Promise.all(["theirs", "mine"].map((holder) => door.claimedBy(holder)))).toEqual([undefined, mine.id]);
    expect([await door.cut(theirs.id), edge.stats().controlConnections, mine.client.destroyed]).toEqual([false, 1, false]);
  });
});

describe("the file", () => {
  const read = () => readFile(join(harness.dir, "blocked-networks.map"), "utf8").catch(() => "");

  it("12: has each network with the time of its block, and a fresh edge serves nobody before it knows them", async () => {
    await harness.door.blockNetwork(network);
    await harness.door.blockNetwork(networkOf("2001:db8::/32"));
    await harness.edge.stop();
    expect(await read()).toMatch(/^127\.0\.0\.64\/28 \d{4}-\S+Z\n2001:db8::\/32 \d{4}-\S+Z\n$/);
    const edge = await harness.again();
    expect([await told(edge, abuser), await told(edge, other)]).toEqual(["403 NETWORK_BLOCKED", "200"]);
    // A new door goes on from the file, and so does a full push.
    const door = createDoor({ mapsDir: harness.dir, runtime: edge.runtime, now: () => new Date(0) });
    await door.unblockNetwork(networkOf("2001:db8::/32"));
    expect(await read()).toMatch(/^127\.0\.0\.64\/28 \S+\n$/);
    const former = await read();
    const state = { live: [{ label: live, since: new Date(0) }], lastSeen: new Map(), blocked: new Set<never>() };
    await door.replaceAll({ ...state, blockedNetworks: new Set([network, networkOf("127.0.0.5")]) });
    expect(await read()).toBe(`${former}127.0.0.5/32 1970-01-01T00:00:00.000Z\n`);
    expect([await told(edge, abuser), await told(edge, other)]).toEqual(["403 NETWORK_BLOCKED", "403 NETWORK_BLOCKED"]);
    await door.replaceAll({ ...state, blockedNetworks: new Set() });
    expect([await told(edge, abuser), await told(edge, other), await read()]).toEqual(["200", "200", ""]);
  });

  it("with bad lines has good ones all the same; one that cannot be read is a reason not to start", async () => {
    const path = join(harness.dir, "blocked-networks.map");
    await writeFile(path, `0.0.0.0/0 x\n${live} x\n127.0.0.66\n\0\n127.0.0.5 by hand\n127.0.0.7/x y\n`);
    const edge = await harness.again();
    const verdicts = await Promise.all(["127.0.0.1", abuser, other, "127.0.0.7"].map((from) => told(edge, from)));
    expect(verdicts).toEqual(["200", "200", "403 NETWORK_BLOCKED", "200"]);
    expect(harness.logged).toContainEqual(
      expect.objectContaining({ level: "warn", fields: { file: "blocked-networks.map", badLines: 5 } }),
    );
    await rm(path);
    await mkdir(path);
    await expect(harness.again()).rejects.toMatchObject({ code: "STATE_UNWRITABLE" });
  });

  it("12: that cannot be written keeps a block from being acknowledged, not from taking effect, and an unblocking from both", async () => {
    const { edge, door } = harness;
    const temporary = join(harness.dir, "blocked-networks.map.new");
    await mkdir(temporary);
    await expect(door.blockNetwork(network)).rejects.toMatchObject({ code: "STATE_UNWRITABLE" });
    expect(await told(edge, abuser)).toBe("403 NETWORK_BLOCKED");
    // The other list of blocks has a file of its own.
    await door.block(offline);
    await rm(temporary, { recursive: true });
    await eventually("the block is written", async () => (await read()).startsWith(network));
    await mkdir(temporary);
    await expect(door.unblockNetwork(network)).rejects.toMatchObject({ code: "STATE_UNWRITABLE" });
    expect(await told(edge, abuser)).toBe("403 NETWORK_BLOCKED");
    await rm(temporary, { recursive: true });
    await door.unblockNetwork(network);
    expect(await told(edge, abuser)).toBe("200");
  });
});

/** A request whose answer may not end. `source` is what a proxy of ours would say. */
function open(
  edge: NodeEdge,
  options: { path?: string; method?: string; to?: string; localAddress?: string; source?: string; agent?: HttpAgent },
): ClientRequest {
  const { path = "/", method = "GET", to = host, localAddress = "127.0.0.1", source, agent = false } = options;
  const isSecure = edge.visitorsUrl.startsWith("https:");
  const sent = (isSecure ? requestSecure : request)({
    host: "127.0.0.1",
    port: edge.visitorsPort,
    path,
    method,
    headers: { Host: to, ...(source === undefined ? {} : { "X-Forwarded-For": source }) },
    localAddress,
    agent: agent as false,
    ...(isSecure ? { rejectUnauthorized: false } : {}),
  });
  sent.on("error", () => {});
  if (method === "GET") sent.end();
  return sent;
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return answer.on("error", () => {});
}

async function firstBytes(sent: ClientRequest): Promise<IncomingMessage> {
  const answer = await answerOf(sent);
  await once(answer, "data");
  return answer;
}
