/** Somebody on this machine who found the hook's port: whatever is sent without frps's password changes nothing. */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HostileWorld, loginOf, readInternalPorts, startHostileWorld } from "../support/hostile-world.ts";
import { connectRawSocket } from "../support/raw-frp-client.ts";
import { visit } from "../support/visitor.ts";

let world: HostileWorld;
let port: number;
beforeAll(async () => {
  world = await startHostileWorld();
  port = readInternalPorts(world.keyhole)["plugin.listen"] ?? 0;
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

type Answer = { readonly status: number; readonly code: string };

/** Sends one request and reads the answer; the body may never end. */
function call(options: {
  readonly authorization?: string;
  readonly method?: string;
  readonly path?: string;
  readonly body?: string | Buffer;
  readonly isEndless?: boolean;
}): Promise<Answer> {
  const { authorization, method = "POST", path = "/hook?op=CloseProxy&version=0.1.0", body = "", isEndless = false } = options;
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port, method, path, agent: false, headers: authorization === undefined ? {} : { authorization } },
      (response) => {
        let text = "";
        response.on("data", (chunk) => (text += String(chunk)));
        response.on("error", () => {});
        response.on("close", () => {
          sent.destroy();
          resolve({ status: response.statusCode ?? 0, code: text === "" ? "" : String((JSON.parse(text) as { code?: string }).code) });
        });
      },
    );
    sent.on("error", reject);
    sent.write(body);
    if (!isEndless) sent.end();
  });
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
const readConfig = (): string => readFileSync(join(world.keyhole.stateDir, "frps.toml"), "utf8");
/** What only frps and we know: user and password. */
const readSecret = (): string => decodeURIComponent(/http:\/\/([^@]+)@/.exec(readConfig())?.[1] ?? "");
const closeVictim = (): string => {
  const [, session = ""] = new RegExp(`"label":"${world.victim.label}","session":"([\\w-]+)"`).exec(world.keyhole.output()) ?? [];
  expect(session).not.toBe("");
  const user = { user: world.victim.label, metas: { session }, run_id: "" };
  return JSON.stringify({ version: "0.1.0", op: "CloseProxy", content: { user, proxy_name: `${world.victim.label}.app` } });
};

describe("a call of the hook by a stranger", () => {
  it.each([
    ["no password", () => undefined],
    ["an empty one", () => basic("")],
    ["a wrong one", () => basic("frps:wrong")],
    ["the user without the password", () => basic(`${readSecret().split(":")[0]}:`)],
    ["the password cut short", () => basic(readSecret().slice(0, -1))],
    ["the password and more", () => basic(`${readSecret()}x`)],
    ["the password in another scheme", () => basic(readSecret()).replace("Basic", "Bearer")],
    ["the password, its scheme in small letters", () => basic(readSecret()).replace("Basic", "basic")],
    [
      "the password of the dashboard",
      () =>
        basic(
          `frps:${(JSON.parse(readFileSync(join(world.keyhole.stateDir, "ports.json"), "utf8")) as { dashboardPassword: string }).dashboardPassword}`,
        ),
    ],
  ])("4: with %s closes nobody's tunnel: 401 HOOK_UNAUTHORIZED", async (_what, authorization) => {
    const given = authorization();
    const answer = await call({ body: closeVictim(), ...(given === undefined ? {} : { authorization: given }) });
    expect(answer).toEqual({ status: 401, code: "HOOK_UNAUTHORIZED" });
  });

  it("4: with the password in the path, or another method or path, is told nothing else", async () => {
    for (const path of [`/hook?op=CloseProxy&key=${encodeURIComponent(readSecret())}`, "/", "//", "/hook/../hook", "*"]) {
      for (const method of ["GET", "POST", "OPTIONS", "DELETE"]) {
        expect([method, path, await call({ method, path, body: "" })]).toEqual([method, path, { status: 401, code: "HOOK_UNAUTHORIZED" }]);
      }
    }
  });

  it("4: is answered before its body is read: five megabytes, and one that never ends", async () => {
    const closed = { status: 401, code: "HOOK_UNAUTHORIZED" };
    const startedAt = performance.now();
    expect(await call({ body: Buffer.alloc(64 * 1024, "["), isEndless: true })).toEqual(closed);
    expect(await call({ body: "{", isEndless: true })).toEqual(closed);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    const large = await call({ body: Buffer.alloc(5 * 1024 * 1024, "[") }).catch((error: NodeJS.ErrnoException) => error.code);
    // A sender that does not listen while it sends may see the connection end first.
    expect([closed, "EPIPE", "ECONNRESET"]).toContainEqual(large);
  });

  it("4: a hundred connections that send nothing whole keep nobody from logging in", async () => {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => connectRawSocket({ port, isPlain: true })));
    for (const socket of sockets) {
      socket.write("POST /hook?op=Login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n");
    }
    expect(await world.timeGoodClient()).toBeLessThan(2000);
    for (const socket of sockets) socket.destroy();
  });
});

describe("whoever has the password", () => {
  it("4: is told 4xx for what is not frps's protocol, and a refusal for a Login that nobody may have", async () => {
    const authorization = basic(readSecret());
    expect(await call({ authorization, method: "GET" })).toEqual({ status: 405, code: "METHOD_NOT_ALLOWED" });
    expect(await call({ authorization, path: "/other" })).toEqual({ status: 404, code: "NOT_FOUND" });
    expect(await call({ authorization, body: "{" })).toEqual({ status: 400, code: "BODY_INVALID_JSON" });
    const ping = JSON.stringify({ version: "0.1.0", op: "Ping", content: {} });
    expect(await call({ authorization, path: "/hook?op=Ping", body: ping })).toEqual({ status: 400, code: "OP_UNEXPECTED" });
    expect(await call({ authorization, path: "/hook?op=Login", body: closeVictim() })).toEqual({ status: 400, code: "OP_MISMATCH" });
    expect(await call({ authorization, body: Buffer.alloc(200 * 1024, " ") })).toEqual({ status: 413, code: "BODY_TOO_LARGE" });
    const login = JSON.stringify({ version: "0.1.0", op: "Login", content: loginOf("frp_x") });
    expect((await call({ authorization, path: "/hook?op=Login", body: login })).status).toBe(200);
    expect((await visit(world.keyhole.edgePort, world.victim.host)).body).toBe("honest");
  });
});
