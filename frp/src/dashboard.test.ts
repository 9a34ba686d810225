import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { createDashboard } from "./dashboard.ts";

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    server,
    dashboard: createDashboard({ port, user: "keyhole", password: "p:w", timeoutMs: 500 }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const client = (index: number) => {
  const runID = `run-${String(index).padStart(5, "0")}`;
  return {
    key: runID,
    user: "",
    clientID: runID,
    runID,
    hostname: "",
    clientIP: "127.0.0.1",
    firstConnectedAt: 1,
    lastConnectedAt: 1,
    online: true,
  };
};
const proxy = {
  name: "l.web",
  user: "l",
  clientID: "r",
  spec: { type: "http", http: { customDomains: ["L.Host"] } },
  status: { phase: "online" },
};

/** The list as frps pages it. `list` is asked anew for every page. */
const paged = (list: () => readonly unknown[]) => (request: IncomingMessage, response: ServerResponse) => {
  const query = new URL(request.url ?? "", "http://x").searchParams;
  const [page, pageSize] = [Number(query.get("page")), Number(query.get("pageSize"))];
  const items = list();
  const data = { total: items.length, page, pageSize, items: items.slice((page - 1) * pageSize, page * pageSize) };
  response.end(JSON.stringify({ code: 200, msg: "success", data }));
};

describe("the dashboard of frps", () => {
  it("reads all pages, and sends user and password", async () => {
    const clients = Array.from({ length: 450 }, (_, index) => client(index));
    let authorization: string | undefined;
    await using it = await serve((request, response) => {
      authorization = request.headers.authorization;
      paged(() => clients)(request, response);
    });
    const found = await it.dashboard.readClients();
    expect(found.map((each) => each.runId)).toEqual(clients.map((each) => each.runID));
    expect(found[0]).toEqual({ runId: "run-00000", user: "", isOnline: true, clientAddress: "127.0.0.1" });
    expect(authorization).toBe(`Basic ${Buffer.from("keyhole:p:w").toString("base64")}`);
  });

  it("2: misses nobody who was there all the time when another one leaves and the pages slide", async () => {
    let clients = Array.from({ length: 400 }, (_, index) => client(index));
    let answered = 0;
    await using it = await serve((request, response) => {
      paged(() => clients)(request, response);
      answered += 1;
      // The first leaves and one comes at the end: the total stays, and number 200 slides onto the page that was read.
      if (answered === 1) clients = [...clients.slice(1), client(9999)];
    });
    const found = new Set((await it.dashboard.readClients()).map((each) => each.runId));
    for (const { runID } of clients) expect(found).toContain(runID);
  });

  it("keeps one connection for one read after another", async () => {
    let connections = 0;
    await using it = await serve(paged(() => []));
    it.server.on("connection", () => {
      connections += 1;
    });
    for (let round = 0; round < 5; round += 1) await it.dashboard.readProxies();
    expect(connections).toBe(1);
  });

  it("reads a proxy with its hosts in their letter case", async () => {
    await using it = await serve(paged(() => [proxy, { ...proxy, name: "tcp", spec: { type: "tcp", tcp: {} } }]));
    expect(await it.dashboard.readProxies()).toEqual([
      { name: "l.web", user: "l", clientId: "r", hosts: ["L.Host"], isOnline: true },
      { name: "tcp", user: "l", clientId: "r", hosts: [], isOnline: true },
    ]);
  });

  it.each<[string, (response: ServerResponse) => void, string]>([
    ["wrong password", (response) => response.writeHead(401).end(), "status 401"],
    ["no JSON", (response) => response.end("<html>"), "no JSON"],
    ["null", (response) => response.end("null"), "not a page"],
    ["an error in the envelope", (response) => response.end('{"code":500,"msg":"x","data":null}'), "not a page"],
    ["a total that is no number", (response) => response.end('{"code":200,"data":{"total":"1","items":[]}}'), "not a page"],
    ["a client without run id", (response) => response.end('{"code":200,"data":{"total":1,"items":[{"key":"k"}]}}'), "item 0 of page 1"],
    ["no answer", () => {}, "no answer within 500 ms"],
    ["a cut answer", (response) => response.writeHead(200, { "content-length": 100 }).write("{", () => response.destroy()), "aborted"],
    ["an endless answer", (response) => response.writeHead(200).end(Buffer.alloc(9 << 20)), "too large"],
  ])("is a fault and never half an answer: %s", async (_name, answer, words) => {
    await using it = await serve((_request, response) => answer(response));
    await expect(it.dashboard.readClients()).rejects.toMatchObject({
      code: "DASHBOARD_UNAVAILABLE",
      message: expect.stringContaining(words),
    });
  });

  it("is healthy when frps says so, and not when nobody answers", async () => {
    let status = 200;
    const it = await serve((_request, response) => response.writeHead(status).end());
    expect(await it.dashboard.isHealthy()).toBe(true);
    status = 500;
    expect(await it.dashboard.isHealthy()).toBe(false);
    await it[Symbol.asyncDispose]();
    expect(await it.dashboard.isHealthy()).toBe(false);
  });
});
