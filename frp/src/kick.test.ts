import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { kick } from "./kick.ts";
import { encodeMessage, loginRespType } from "./wire.ts";

/** A server that does to each connection what the script says: what a real frps does only when it is in trouble. */
async function scripted(script: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    script(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const runId = "a-run-id-that-is-a-secret";
const order = { host: "127.0.0.1", runId, metas: { nonce: "n" }, timeoutMs: 300, tcpMux: false, now: () => new Date(1_795_309_034_000) };

describe("kick", () => {
  it.each<[string, (socket: Socket) => void, string]>([
    ["never answers", (socket) => socket.resume(), "did not answer within 300 ms"],
    ["hangs up", (socket) => socket.once("data", () => socket.end()), "closed the connection"],
    ["resets", (socket) => socket.once("data", () => socket.resetAndDestroy()), "the connection failed (ECONNRESET)"],
    ["talks something else", (socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")), "no message of frp"],
    ["sends another message", (socket) => socket.end(encodeMessage(0x34, {})), "no answer to a Login"],
    ["says no", (socket) => socket.end(encodeMessage(loginRespType, { error: `no, ${runId}` })), "frps said: no, […]"],
  ])("fails with the reason and without the run id when the other side %s", async (_name, script, words) => {
    await using server = await scripted(script);
    const failure = await kick({ ...order, port: server.port }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "KICK_FAILED", message: expect.stringContaining(words) });
    expect(String(failure)).not.toContain(runId);
  });

  it("fails when nobody listens", async () => {
    const { port } = await (async () => {
      await using server = await scripted(() => {});
      return { port: server.port };
    })();
    await expect(kick({ ...order, port })).rejects.toMatchObject({ code: "KICK_FAILED", message: expect.stringContaining("ECONNREFUSED") });
  });

  it("sends one Login with the run id, the metas and the key of the empty token, and takes an answer in pieces", async () => {
    let received = Buffer.alloc(0);
    await using server = await scripted((socket) => {
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        for (const byte of encodeMessage(loginRespType, { version: "0.71.0", run_id: runId })) socket.write(Buffer.from([byte]));
      });
    });
    await kick({ ...order, port: server.port });
    expect(received.subarray(0, 1).toString()).toBe("o");
    expect(JSON.parse(received.subarray(9).toString())).toEqual({
      version: "0.71.0",
      timestamp: 1_795_309_034,
      privilege_key: "626f21797c556aa059c696c7962c1af5",
      run_id: runId,
      metas: { nonce: "n" },
    });
  });
});
