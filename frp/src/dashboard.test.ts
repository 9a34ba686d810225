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

/** The list as frps gives it: by pages of at most 200, or whole. It is asked anew for every answer. */
const answering = (list: () => readonly unknown[], whole?: () => unknown) => (request: IncomingMessage, response: ServerResponse) => {
  const url = new URL(request.url ?? "", "http://x");
  if (!url.pathname.startsWith("/api/v2/")) {
    response.end(JSON.stringify(whole?.() ?? list()));
    return;
  }
  const pageSize = Number(url.searchParams.get("pageSize"));
  const items = list();
  const data = { total: items.length, page: 1, pageSize, items: items.slice(0, pageSize) };
  response.end(JSON.stringify({ code: 200, msg: "success", data }));
};

describe("the dashboard of frps", () => {
  it.each([0, 1, 200, 201, 450])("reads %i clients, all of them, and sends user and password", async (count) => {
    const clients = Array.from({ length: count }, (_, index) => client(index));
    let authorization: string | undefined;
    await using it = await serve((request, response) => {
      authorization = request.headers.authorization;
      answering(() => clients)(request, response);
    });
    const found = await it.dashboard.readClients();
    expect(found.map((each) => each.runId)).toEqual(clients.map((each) => each.runID));
    if (count > 0) expect(found[0]).toEqual({ runId: "run-00000", user: "", isOnline: true, clientAddress: "127.0.0.1" });
    expect(authorization).toBe(`Basic ${Buffer.from("keyhole:p:w").toString("base64")}`);
  });

  it("2: misses nobody who was there all the time when the list moves while it is read", async () => {
    let clients = Array.from({ length: 400 }, (_, index) => client(index));
    await using it = await serve((request, response) => {
      answering(() => clients)(request, response);
      // The first leaves and one comes at the end: by pages, number 200 would slide onto the page that was read.
      clients = [...clients.slice(1), client(9999)];
    });
    const found = new Set((await it.dashboard.readClients()).map((each) => each.runId));
    for (let index = 2; index < 400; index += 1) expect(found).toContain(client(index).runID);
  });

  it("reads many proxies in one piece, without those that are gone", async () => {
    const one = { name: "l.web", user: "l", conf: { type: "http", customDomains: ["L.Host"] }, clientID: "r", status: "online" };
    const gone = { name: "gone", conf: null, status: "offline" };
    const list = Array.from({ length: 300 }, () => proxy);
    await using it = await serve(
      answering(
        () => list,
        () => ({ proxies: [one, gone] }),
      ),
    );
    expect(await it.dashboard.readProxies()).toEqual([{ name: "l.web", user: "l", clientId: "r", hosts: ["L.Host"], isOnline: true }]);
  });

  it("keeps one connection for one read after another", async () => {
    let connections = 0;
    await using it = await serve(answering(() => []));
    it.server.on("connection", () => {
      connections += 1;
    });
    for (let round = 0; round < 5; round += 1) await it.dashboard.readProxies();
    expect(connections).toBe(1);
  });

  it("reads a proxy with its hosts in their letter case", async () => {
    await using it = await serve(answering(() => [proxy]));
    expect(await it.dashboard.readProxies()).toEqual([{ name: "l.web", user: "l", clientId: "r", hosts: ["L.Host"], isOnline: true }]);
  });

  it.each<[string, (response: ServerResponse) => void, string]>([
    ["wrong password", (response) => response.writeHead(401).end(), "status 401"],
    ["no JSON", (response) => response.end("<html>"), "no JSON"],
    ["null", (response) => response.end("null"), "not a page"],
    ["an error in the envelope", (response) => response.end('{"code":500,"msg":"x","data":null}'), "not a page"],
    ["a total that is no number", (response) => response.end('{"code":200,"data":{"total":"1","items":[]}}'), "not a page"],
    ["a client without run id", (response) => response.end('{"code":200,"data":{"total":1,"items":[{"key":"k"}]}}'), "item 0 is not"],
    ["no answer", () => {}, "no answer within 500 ms"],
    ["a cut answer", (response) => response.writeHead(200, { "content-length": 100 }).write("{", () => response.destroy()), "aborted"],
    ["a page of 200 and a whole list that is none", (response) => response.end('{"code":200,"data":{"total":201,"items":[]}}'), "API v1"],
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
