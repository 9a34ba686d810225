/** The public corpus of bad inputs, what a visitor can send and an app can answer (surface e), through the real frps and frpc. */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { badInputsOf } from "../support/bad-inputs.ts";
import { requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { countDescriptors, type HostileWorld, startHostileWorld, type Tenant } from "../support/hostile-world.ts";
import { domain } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { exchangeBytes, startByteApp, statusesOf } from "../support/raw-http.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

/** Connections from the edge to frps, and from frps to an app, that are kept for the next request. */
const kept = 150;

let world: HostileWorld;
let port: number;
beforeAll(async () => {
  world = await startHostileWorld();
  port = world.keyhole.edgePort;
});
afterAll(() => world?.[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

const codeOf = (body: string): string => String((JSON.parse(body) as { code?: string }).code);
const send = (head: string): Promise<string> => exchangeBytes(port, head);
const host = (): string => world.victim.host;

/** Serves an app at the address of a new wallet by stock frpc for as long as the work takes. */
async function withTenantOf(appPort: number, work: (tenant: Tenant) => Promise<void>): Promise<void> {
  const tenant = await world.makeTenant();
  await using client = startFrpcOn(world.keyhole, await requestClientConfig(world.keyhole, tenant.wallet, appPort));
  await client.saw("start proxy success");
  await work(tenant);
}

/** Requests that two readers could take for different ones; with a second one behind each. */
const ambiguous = (): readonly string[] => {
  const first = `POST /first HTTP/1.1\r\nHost: ${host()}\r\n`;
  const second = `GET /second HTTP/1.1\r\nHost: ${host()}\r\n\r\n`;
  return [
    `${first}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${second}`,
    `${first}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n${second}`,
    `${first}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${second}`,
    `${first}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${second}`,
    `POST /first HTTP/1.1\nHost: ${host()}\n\n${second}`,
    `${first}X: a\r\n b: c\r\n\r\n${second}`,
    `${first}Content-Length : 5\r\n\r\n12345${second}`,
    `${first}Content-Length: +5\r\n\r\n12345${second}`,
    `${first}Content-Length: 5,5\r\n\r\n12345${second}`,
    `${first}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345${second}`,
  ];
};

/** How each entry is tried. Where DESIGN.md supersedes what the corpus expects, the reason stands here. */
const tries: Readonly<Record<string, () => Promise<void>>> = {
  e01: async () => {
    const { host } = await world.makeTenant();
    const plain = await visit(port, host);
    expect([plain.status, codeOf(plain.body), plain.headers["cache-control"]]).toEqual([503, "TUNNEL_OFFLINE", "no-store"]);
    expect(plain.headers["retry-after"]).toMatch(/^[0-9]+$/);
    const page = await visit(port, host, { headers: { accept: "text/html" } });
    expect([page.status, page.headers["content-type"]]).toEqual([503, "text/html; charset=utf-8"]);
    for (const { body } of [plain, page]) expect(body).not.toMatch(/frp/i);
  },
  e03: async () => {
    expect((await visit(port, domain, { path: "/healthz" })).status).toBe(200);
    for (const name of ["www", "0xabc"]) expect(codeOf((await visit(port, `${name}.${domain}`)).body)).toBe("UNKNOWN_HOST");
    for (const foreign of ["random.other.tld", "192.0.2.1"]) expect((await visit(port, foreign)).status).toBe(421);
    expect(statusesOf(await send("GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"))).toEqual([400]);
    expect(statusesOf(await send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"))).toEqual([400]);
  },
  // A well-formed name of another domain is 421 (DESIGN.md §3), also when it begins with one of ours.
  e05: async () => {
    expect((await visit(port, `${host()}.evil.tld`)).status).toBe(421);
    for (const name of [
      `evil.tld/${host()}`,
      `${world.victim.label}@evil`,
      "[::1",
      "a b",
      `\0${host()}`,
      "a".repeat(300),
      `${host()}...`,
    ]) {
      const answer = await send(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
      expect([name, statusesOf(answer)[0]]).toEqual([name, 400]);
    }
  },
  // By Host alone, whatever the connection was opened for.
  e07: async () => {
    await using app = await startLocalApp("second");
    await withTenantOf(app.port, async (tenant) => {
      const ask = (name: string, last = ""): string => `GET / HTTP/1.1\r\nHost: ${name}\r\n${last}\r\n`;
      const answer = await send(`${ask(host())}${ask(tenant.host)}${ask(host(), "Connection: close\r\n")}`);
      expect(answer.match(/honest|second/g)?.filter((_, index) => index % 2 === 1)).toEqual(["honest", "second", "honest"]);
    });
  },
  e09: async () => {
    for (const bytes of ambiguous()) {
      const answer = await send(bytes);
      expect([bytes.slice(0, 120), statusesOf(answer)]).toEqual([bytes.slice(0, 120), [400]]);
    }
  },
  // The Node door speaks HTTP/1.1 alone: HTTP/2 is HAProxy's.
  e11: async () => {
    const failure = await new Promise<string>((resolve) => {
      const session: ClientHttp2Session = connectHttp2(`http://127.0.0.1:${port}`);
      session.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      session.on("close", () => resolve("closed"));
      session.request({ ":path": "no-slash", ":authority": host() }).on("error", () => {});
    });
    expect(failure).not.toBe("");
  },
  e13: async () => {
    const answer = await send(`GET http://${host()}/ HTTP/1.1\r\nHost: ${host()}\r\nConnection: close\r\n\r\n`);
    expect(statusesOf(answer)).toEqual([400]);
    expect(answer).not.toContain("domain.");
  },
  e15: async () => {
    const slowHead = connect(port, "127.0.0.1", () => slowHead.write(`GET / HTTP/1.1\r\nHost: ${host()}\r\nX: `));
    slowHead.on("error", () => {});
    const trickle = setInterval(() => slowHead.write("a"), 500);
    const startedAt = performance.now();
    await new Promise((resolve) => slowHead.resume().once("close", resolve));
    clearInterval(trickle);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  },
  e17: async () => {
    const request = (more: string, path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: ${host()}\r\nConnection: close\r\n${more}\r\n`;
    for (const bytes of [
      request(`X: ${"a".repeat(128 * 1024)}\r\n`),
      request(Array.from({ length: 10_000 }, (_, index) => `X${index}: 1\r\n`).join("")),
      request("", `/${"a".repeat(64 * 1024)}`),
    ]) {
      expect([431, 414]).toContain(statusesOf(await send(bytes))[0]);
    }
  },
  e19: async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    const sockets: WebSocket[] = [];
    server.on("connection", (socket) => sockets.push(socket));
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      await withTenantOf((server.address() as { port: number }).port, async (tenant) => {
        const bad = `GET / HTTP/1.1\r\nHost: ${tenant.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n`;
        expect([400, 426]).toContain(statusesOf(await send(bad))[0]);
        const visitor = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host: tenant.host } });
        await new Promise((resolve) => visitor.once("open", resolve));
        const closed = new Promise<number>((resolve) => visitor.once("close", resolve));
        const startedAt = performance.now();
        for (const socket of sockets) socket.terminate();
        expect(await closed).toBe(1006);
        expect(performance.now() - startedAt).toBeLessThan(2000);
      });
    } finally {
      server.close();
    }
  },
  e21: async () => {
    await using slow = await startLocalApp("slow", (_request, response) => void setTimeout(() => response.end("slow"), 1000));
    await withTenantOf(slow.port, async (tenant) => {
      const pid = world.keyhole.ready.pid;
      const before = { keyhole: countDescriptors(pid), frps: countDescriptors(world.keyhole.frpsPid()) };
      const abort = (): Promise<void> =>
        new Promise((resolve) => {
          const socket: Socket = connect(port, "127.0.0.1", () =>
            socket.write(`GET / HTTP/1.1\r\nHost: ${tenant.host}\r\n\r\n`, () => socket.destroy()),
          );
          socket.on("error", () => {});
          socket.on("close", () => resolve());
        });
      for (let left = 10_000; left > 0; left -= 100) await Promise.all(Array.from({ length: 100 }, abort));
      await waitForFact(
        "descriptors are as before",
        () =>
          countDescriptors(pid) <= before.keyhole + kept && countDescriptors(world.keyhole.frpsPid()) <= before.frps + kept
            ? true
            : undefined,
        { timeoutMs: 30_000, describe: () => `${countDescriptors(pid)} and ${countDescriptors(world.keyhole.frpsPid())}` },
      );
    });
  },
  e23: async () => {
    await using app = await startLocalApp("cookies", (_request, response) => {
      response.setHeader("Set-Cookie", [`a=b; Domain=.${domain}; Path=/`, "c=d; Domain=.localhost"]);
      response.end("cookies");
    });
    await withTenantOf(app.port, async (tenant) => {
      const { headers } = await visit(port, tenant.host);
      expect(headers["set-cookie"]?.join("\n")).toMatch(/a=b/);
      expect(headers["set-cookie"]?.join("\n")).not.toMatch(/domain/i);
    });
  },
  // frps answers with its own page, which lacks the marker: APP_UNREACHABLE is our word for it (DESIGN.md §6).
  e25: async () => {
    for (const bytes of [
      "not http at all\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      `HTTP/1.1 200 OK\r\nX: ${"a".repeat(11 * 1024 * 1024)}\r\n\r\n`,
      "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
    ]) {
      await using app = await startByteApp((socket) => socket.end(bytes));
      await withTenantOf(app.port, async (tenant) => {
        const answer = await visit(port, tenant.host);
        expect([bytes.slice(0, 30), answer.status, codeOf(answer.body)]).toEqual([bytes.slice(0, 30), 502, "APP_UNREACHABLE"]);
      });
    }
  },
  e27: async () => {
    await using app = await startByteApp((socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
    );
    await withTenantOf(app.port, async (tenant) => {
      const answer = await visit(port, tenant.host);
      expect([answer.status, codeOf(answer.body)]).toEqual([502, "APP_UNREACHABLE"]);
    });
  },
  e29: async () => {
    const seen: string[] = [];
    await using app = await startLocalApp("paths", (request, response) => {
      seen.push(request.url ?? "");
      response.end("paths");
    });
    await withTenantOf(app.port, async (tenant) => {
      for (const path of ["/..%2f", "//", "/%00", "/%zz", "/%E2%80%A8", "/.well-known/acme-challenge/x"]) {
        seen.length = 0;
        const [status] = statusesOf(await send(`GET ${path} HTTP/1.1\r\nHost: ${tenant.host}\r\nConnection: close\r\n\r\n`));
        expect([path, status === 200 ? seen : [status]]).toEqual([path, status === 200 ? [path] : [400]]);
      }
    });
  },
  // Spelt otherwise they are read by the edge's own tests; here what an app is told.
  e31: async () => {
    const told: (string | undefined)[] = [];
    await using app = await startLocalApp("addresses", (request, response) => {
      told.push(request.headers["x-forwarded-for"] as string | undefined);
      response.end("addresses");
    });
    await withTenantOf(app.port, async (tenant) => {
      await visit(port, tenant.host, { headers: { "x-forwarded-for": "::ffff:198.51.100.1, 64:ff9b::c633:6401" } });
      expect(told.map((value) => value?.split(",")[0])).toEqual(["127.0.0.1"]);
    });
  },
};

const entries = badInputsOf("e");

it("every entry of the corpus is tried here", () => {
  expect(entries.map(({ id }) => id).sort()).toEqual(Object.keys(tries).sort());
});

it.each(Object.keys(tries).map((id): [string, string] => [id, entries.find((entry) => entry.id === id)?.input ?? ""]))(
  "11: %s: %s",
  async (id) => {
    await tries[id]?.();
  },
);
