/**
 * The public corpus of bad inputs, surface e: what a visitor can send, and what can come back from behind frps, which is a
 * stand-in here. What the real frps makes of an app is tried with the real one, in e2e. One row an entry, none missing.
 */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { badInputsOf } from "../support/bad-inputs.ts";
import { first } from "./edge-certificates.ts";
import { asApp, domain, eventually, type Harness, hostOf, labelOf, live, offline, openHarness, sendRaw, visit } from "./edge-harness.ts";

let harness: Harness;
let honest: Harness["frps"]["handle"];
beforeAll(async () => {
  harness = await openHarness();
  honest = harness.frps.handle;
});
beforeEach(() => {
  harness.frps.handle = honest;
  harness.frps.seen.length = 0;
});
afterEach(async () => {
  // Whatever came, the next visitor is served.
  harness.frps.handle = honest;
  expect((await visit(harness.edge, host)).status).toBe(200);
});
afterAll(() => harness[Symbol.asyncDispose]());

const host = hostOf(live);
const other = labelOf("b");
const send = (bytes: string | Buffer, options?: Parameters<typeof sendRaw>[2]) => sendRaw(harness.edge.visitorsPort, bytes, options);
const statusesOf = (text: string): number[] => [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map((match) => Number(match[1]));
const closing = (request: string, more = ""): string => `${request}\r\nConnection: close\r\n${more}\r\n`;
/** The status and our code of the answer to a Host. */
async function judge(name: string): Promise<string> {
  const { text } = await send(Buffer.from(closing(`GET / HTTP/1.1\r\nHost: ${name}`), "latin1"));
  expect(statusesOf(text)).toHaveLength(1);
  return `${statusesOf(text)[0]} ${/"code":"([A-Z_]+)"/.exec(text)?.[1]}`;
}
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const expectNothingArrived = (): void => expect(harness.frps.seen.map(({ url }) => url)).toEqual([]);

/** Each entry's try. Where DESIGN.md says otherwise than the corpus, the reason stands here. */
const tries: Readonly<Record<string, () => Promise<void>>> = {
  e01: async () => {
    const asked = await visit(harness.edge, hostOf(offline));
    expect([asked.status, asked.json["code"], asked.headers.get("content-type")]).toEqual([
      503,
      "TUNNEL_OFFLINE",
      "application/problem+json",
    ]);
    const page = await visit(harness.edge, hostOf(offline), { headers: { Accept: "text/html" } });
    expect([page.status, page.headers.get("content-type")]).toEqual([503, "text/html; charset=utf-8"]);
    for (const { headers, body } of [asked, page]) {
      expect([headers.get("retry-after"), headers.get("cache-control")]).toEqual(["15", "no-store"]);
      expect(`${body}${[...headers].join()}`).not.toMatch(/frp|the page you requested/i);
    }
    expectNothingArrived();
  },

  e03: async () => {
    expect((await visit(harness.edge, domain)).body.toString()).toBe(`hello from ${domain}`);
    for (const name of [`www.${domain}`, `0xabc.${domain}`, `a.${host}`])
      expect([name, await judge(name)]).toEqual([name, "404 UNKNOWN_HOST"]);
    for (const name of ["random.other.tld", "192.0.2.1", "[2001:db8::1]", "localhost"])
      expect([name, await judge(name)]).toEqual([name, "421 HOST_NOT_SERVED"]);
    expect(await judge("")).toBe("400 HOST_INVALID");
    const { text } = await send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"HOST_INVALID"/);
    expectNothingArrived();
  },

  // A well-formed name or address of somebody else is 421 (DESIGN.md §3), also when it begins with one of ours.
  e05: async () => {
    for (const name of [`${host}.evil.tld`, "[::1]"]) expect([name, await judge(name)]).toEqual([name, "421 HOST_NOT_SERVED"]);
    for (const name of [`evil.tld/${host}`, `${live}@evil`, "[::1", "a b", `${"a".repeat(300)}`, `${host}...`, `${host},${host}`])
      expect([name, await judge(name)]).toEqual([name, "400 HOST_INVALID"]);
    // Node's parser refuses the byte before there is a Host.
    expect(await judge(`\0${host}`)).toBe("400 REQUEST_MALFORMED");
    expectNothingArrived();
  },

  // By Host alone, request by request: the name that TLS was opened for opens nothing and closes nothing.
  e07: async () => {
    await using secure = await openHarness({ isSecure: true });
    await secure.door.put({ label: other, since: new Date() });
    const socket = connectTls({
      port: secure.edge.visitorsPort,
      host: "127.0.0.1",
      ca: first.cert,
      servername: hostOf(offline),
      checkServerIdentity: () => undefined,
    });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ask = (name: string): string => `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`;
    socket.write(ask(host) + ask(hostOf(other)) + closing(`GET / HTTP/1.1\r\nHost: ${hostOf(offline)}`));
    await once(socket, "close");
    const text = Buffer.concat(chunks).toString();
    expect(statusesOf(text)).toEqual([200, 200, 503]);
    expect(secure.frps.seen.map(({ headers }) => headers.host)).toEqual([host, hostOf(other)]);
  },

  e09: async () => {
    const begin = `POST /first HTTP/1.1\r\nHost: ${host}\r\n`;
    const second = `GET /second HTTP/1.1\r\nHost: ${hostOf(other)}\r\n\r\n`;
    for (const bytes of [
      `${begin}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${second}`,
      `${begin}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n${second}`,
      `${begin}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${second}`,
      `${begin}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${second}`,
      `${begin}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${second}`,
      `${begin}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n${second}`,
      `${begin}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${second}`,
      `POST /first HTTP/1.1\nHost: ${host}\n\n${second}`,
      `${begin}Transfer-Encoding: chunked\r\n\r\n0\n\n${second}`,
      `${begin}X: a\r\n b: c\r\n\r\n${second}`,
      `${begin}Content-Length : 5\r\n\r\n12345${second}`,
      `${begin}Content-Length: +5\r\n\r\n12345${second}`,
      `${begin}Content-Length: 5,5\r\n\r\n12345${second}`,
      `${begin}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345${second}`,
      `${begin}Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345${second}`,
      `${begin}Content-Length: 0x5\r\n\r\n12345${second}`,
    ]) {
      const { text, isClosed } = await send(bytes);
      expect([bytes.slice(0, 150), statusesOf(text), isClosed]).toEqual([bytes.slice(0, 150), [400], true]);
    }
    // A chunk that turns out to be broken when its request is on the way already ends that request, and begins no other.
    expect(harness.frps.seen.map(({ url }) => url).filter((url) => url !== "/first")).toEqual([]);
  },

  // This door speaks HTTP/1.1 alone (services/edge/README.md): HTTP/2 with such headers has no way in, and none without.
  e11: async () => {
    await using secure = await openHarness({ isSecure: true });
    const { visitorsPort: port } = secure.edge;
    const chosen = connectTls({ port, host: "127.0.0.1", ca: first.cert, servername: "localhost", ALPNProtocols: ["h2"] });
    await expect(once(chosen, "secureConnect")).rejects.toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL" });
    const session = connectHttp2(`http://127.0.0.1:${harness.edge.visitorsPort}`);
    session.on("error", () => {});
    const request = session.request({ ":path": "no-slash", ":authority": host });
    await expect(once(request, "response")).rejects.toThrow();
    session.destroy();
    const { text } = await send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect(statusesOf(text)).toEqual([400]);
    expectNothingArrived();
    expect(secure.frps.seen).toEqual([]);
  },

  e13: async () => {
    for (const target of [
      `http://${host}/`,
      `http://${hostOf(offline)}/`,
      `https://${host}/`,
      "http://localhost:7400/api/v2/clients",
      `${host}:80`,
    ]) {
      const { text, isClosed } = await send(closing(`GET ${target} HTTP/1.1\r\nHost: ${host}`));
      expect([target, statusesOf(text), isClosed]).toEqual([target, [400], true]);
      expect(text).toContain('"code":"REQUEST_MALFORMED"');
    }
    expectNothingArrived();
  },

  // Ten seconds for the head, then silence is measured, not the whole: an upload may take as long as it goes on.
  e15: async () => {
    const edge = await harness.again({ patience: { idleMs: 1000, bodyStallMs: 1500 } });
    // An app that takes the whole body before it answers.
    harness.frps.handle = (req, res) =>
      void req
        .resume()
        .on("end", () => asApp(res).end())
        .on("error", () => {});
    const head = connect(edge.visitorsPort, "127.0.0.1", () => head.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nX: `));
    const trickle = setInterval(() => head.write("a"), 250);
    const body = connect(edge.visitorsPort, "127.0.0.1", () =>
      body.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000\r\n\r\na`),
    );
    const idle = connect(edge.visitorsPort, "127.0.0.1", () => idle.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
    const startedAt = performance.now();
    const whileSlow = (await visit(edge, host)).status;
    const ended = await Promise.all(
      [head, body, idle].map(async (socket) => {
        const chunks: Buffer[] = [];
        socket.on("error", () => {}).on("data", (chunk: Buffer) => chunks.push(chunk));
        await new Promise((resolve) => socket.once("close", resolve));
        return { seconds: Math.floor((performance.now() - startedAt) / 1000), text: Buffer.concat(chunks).toString() };
      }),
    );
    clearInterval(trickle);
    expect(whileSlow).toBe(200);
    expect(ended.map(({ text }) => statusesOf(text)[0])).toEqual([408, 408, 200]);
    expect(ended[0]?.text).toContain('"code":"REQUEST_TIMEOUT"');
    // The rest of a body that stalled is waited for once more, so that the visitor gets to read its answer.
    for (const [index, seconds] of [14, 9, 5].entries()) expect(ended[index]?.seconds).toBeLessThan(seconds);
    expect(ended[0]?.seconds).toBeGreaterThanOrEqual(9);
    await edge.stop();
  },

  e17: async () => {
    const request = (more: string, path = "/"): string => closing(`GET ${path} HTTP/1.1\r\nHost: ${host}`, more);
    for (const bytes of [
      request(`X: ${"a".repeat(128 * 1024)}\r\n`),
      request(Array.from({ length: 10_000 }, (_, index) => `X${index}: 1\r\n`).join("")),
      request("", `/${"a".repeat(64 * 1024)}`),
      request(Array.from({ length: 300 }, (_, index) => `X${index}: 1\r\n`).join("")),
    ]) {
      const { text, isClosed } = await send(bytes);
      expect([bytes.length, statusesOf(text), isClosed]).toEqual([bytes.length, [431], true]);
      expect(text).toContain('"code":"HEADERS_TOO_LARGE"');
    }
    expectNothingArrived();
  },

  // A handshake is the app's to judge. An idle WebSocket is cut by nobody here: TCP keep-alive alone ends a dead one.
  e19: async () => {
    const { server } = harness.frps;
    const accepting = new WebSocketServer({ noServer: true });
    accepting.on("headers", (headers) => void headers.push("X-Keyhole-App: 1"));
    const sockets: Socket[] = [];
    server.on("upgrade", (req, socket: Socket, head) => {
      sockets.push(socket);
      if (req.headers["sec-websocket-version"] === "13") accepting.handleUpgrade(req, socket, head, () => {});
      else socket.end("HTTP/1.1 400 Bad Request\r\nX-Keyhole-App: 1\r\nContent-Length: 3\r\n\r\nbad");
    });
    try {
      for (const bad of ["Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n", "Sec-WebSocket-Key: AAAA\r\n", ""]) {
        const { text } = await send(`GET / HTTP/1.1\r\nHost: ${host}\r\n${upgrade}${bad}\r\n`);
        expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\r\nbad$/);
      }
      const ws = new WebSocket(`ws://127.0.0.1:${harness.edge.visitorsPort}/`, { headers: { host } });
      await once(ws, "open");
      const startedAt = performance.now();
      sockets.at(-1)?.destroy();
      const [code] = (await once(ws, "close")) as [number];
      expect([code, performance.now() - startedAt < 2000]).toEqual([1006, true]);
    } finally {
      server.removeAllListeners("upgrade");
    }
  },

  e21: async () => {
    const held = new Set<Socket>();
    harness.frps.handle = (req) => {
      held.add(req.socket);
      req.socket.once("close", () => held.delete(req.socket));
      req.resume();
    };
    const abort = async (): Promise<void> => {
      const before = harness.frps.seen.length;
      const visitors = Array.from({ length: 100 }, () => {
        const socket = connect(harness.edge.visitorsPort, "127.0.0.1", () => socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
        return socket.on("error", () => {});
      });
      await eventually("they are with the app", () => harness.frps.seen.length === before + 100);
      for (const socket of visitors) socket.destroy();
      await eventually("the app is told of each", () => held.size === 0);
    };
    for (let left = 10; left > 0; left -= 1) await abort();
    await eventually("the edge is rid of them", () => harness.edge.stats().openVisitorConnections === 0);
    expect(harness.frps.seen).toHaveLength(1000);
  },

  e23: async () => {
    const cookies = [`a=b; Domain=.${domain}; Path=/`, "c=d; domain = .vana.org", "e=f;DOMAIN=.server.vana.org;Secure", "g=h; HttpOnly"];
    harness.frps.handle = (_req, res) => void asApp(res, 200, { "Set-Cookie": cookies }).end();
    const { headers } = await visit(harness.edge, host);
    expect(headers.getSetCookie()).toEqual(["a=b; Path=/", "c=d", "e=f;Secure", "g=h; HttpOnly"]);
  },

  // The code is APP_UNREACHABLE (DESIGN.md §6): real frps puts its own page without the marker in the place of such an
  // answer, and who looks from outside cannot tell it from an app that is not there.
  e25: async () => {
    for (const bytes of [
      "not http at all\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX-Keyhole-App: 1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      `HTTP/1.1 200 OK\r\nX-Keyhole-App: 1\r\nX: ${"a".repeat(1024 * 1024)}\r\n\r\n`,
      "HTTP/1.1 099 Odd\r\nX-Keyhole-App: 1\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nX-Keyhole-App: 1\r\n\r\n".repeat(10_000),
      "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
      "HTTP/9.9 200 OK\r\nX-Keyhole-App: 1\r\n\r\n",
      "",
    ]) {
      const spoken: Socket[] = [];
      harness.frps.handle = (req) => {
        spoken.push(req.socket);
        req.socket.end(bytes);
      };
      const { status, json, body } = await visit(harness.edge, host);
      expect([bytes.slice(0, 40), status, json["code"]]).toEqual([bytes.slice(0, 40), 502, "APP_UNREACHABLE"]);
      expect(body.toString()).not.toContain("hello");
      await eventually("that connection is used no more", () => spoken.every((socket) => socket.destroyed));
    }
  },

  // APP_UNREACHABLE too, for the same reason.
  e27: async () => {
    const odd = "HTTP/1.1 101 Switching Protocols\r\nX-Keyhole-App: 1\r\nConnection: Upgrade\r\n";
    for (const bytes of [`${odd}Upgrade: websocket\r\n\r\n`, `${odd}Upgrade: x\r\n\r\nGET / HTTP/1.1\r\n\r\n`]) {
      const spoken: Socket[] = [];
      harness.frps.handle = (req) => {
        spoken.push(req.socket);
        req.socket.write(bytes);
      };
      for (const method of ["GET", "POST"]) {
        const { status, json } = await visit(harness.edge, host, { method });
        expect([method, status, json["code"]]).toEqual([method, 502, "APP_UNREACHABLE"]);
      }
      await eventually("that connection is used no more", () => spoken.every((socket) => socket.destroyed));
    }
  },

  e29: async () => {
    for (const path of [
      "/..%2f",
      "//",
      "//evil.example/x",
      "/%00",
      "/%zz",
      "/%E2%80%A8",
      "/a/../b",
      "/.well-known/acme-challenge/x",
      "/?a=b?c",
    ]) {
      harness.frps.seen.length = 0;
      const { text } = await send(closing(`GET ${path} HTTP/1.1\r\nHost: ${host}`));
      expect([path, statusesOf(text), harness.frps.seen.map(({ url }) => url)]).toEqual([path, [200], [path]]);
    }
    harness.frps.seen.length = 0;
    for (const path of ["/\u2028", "/\u00e9", "/\0", "/\t"]) {
      const { text } = await send(Buffer.from(closing(`GET ${path} HTTP/1.1\r\nHost: ${host}`), "utf8"));
      expect([path, statusesOf(text)]).toEqual([path, [400]]);
    }
    expectNothingArrived();
  },

  // Tor's addresses are addresses like all others. A visitor's address stands in no log line at all.
  e31: async () => {
    const edge = await harness.again({ trustedProxies: ["127.0.0.1"] });
    for (const [said, told] of [
      ["::ffff:198.51.100.1", "198.51.100.1"],
      ["0:0:0:0:0:FFFF:C633:6401", "198.51.100.1"],
      ["64:ff9b::198.51.100.1", "64:ff9b::c633:6401"],
      ["2001:0DB8:0000::0001", "2001:db8::1"],
      ["185.220.101.1", "185.220.101.1"],
    ] as const) {
      await visit(edge, host, { headers: { "X-Forwarded-For": said } });
      expect([said, harness.frps.seen.at(-1)?.headers["x-forwarded-for"]]).toEqual([said, told]);
    }
    await edge.stop();
    expect(JSON.stringify(harness.logged)).not.toMatch(/198\.51\.100|64:ff9b|2001:|185\.220/);
  },
};

const entries = badInputsOf("e");

it("every entry of this surface is tried, and nothing that is none", () => {
  expect(Object.keys(tries)).toEqual(entries.map(({ id }) => id));
  expect(entries).toHaveLength(16);
});

it.each(entries.map(({ id, input }): [string, string] => [id, input]))("%s: %s", async (id) => {
  await tries[id]?.();
});

it("a25: a foreign Host at the token service is 421, and does not reach it", async () => {
  expect(badInputsOf("a").find(({ id }) => id === "a25")?.input).toBe("Host: evil.example");
  const reply = await visit(harness.edge, "evil.example", { method: "POST", path: "/v1/tunnel/token", body: "{}" });
  expect([reply.status, reply.json["code"]]).toEqual([421, "HOST_NOT_SERVED"]);
  expect(harness.tokenService.seen.filter(({ url }) => url === "/v1/tunnel/token")).toEqual([]);
});
