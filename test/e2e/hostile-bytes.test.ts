/** Port 7000, and bytes that are not frp's: before TLS, inside it, and inside yamux. Nothing is said to them, and nobody waits. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HostileWorld, loginOf, startHostileWorld } from "../support/hostile-world.ts";
import { connectRaw, connectRawSocket, encodeRawMessage, messageType } from "../support/raw-frp-client.ts";
import { encodeMuxHeader, encodeMuxOpen } from "../support/raw-frp-mux.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let world: HostileWorld;
beforeAll(async () => {
  world = await startHostileWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

/** What is written first, and nothing after it. */
type Bytes = readonly [what: string, bytes: () => Buffer];

const yamuxData = (data: Buffer, stream = 1): Buffer =>
  Buffer.concat([encodeMuxOpen(stream), encodeMuxHeader("data", 0, stream, data.length), data]);
const login = (): Buffer => encodeRawMessage(messageType.login, loginOf(world.victim.token));
const upgrade = (): Buffer =>
  Buffer.from(
    "GET /~!frp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
/** The beginning of a ClientHello that says it is longer. */
const halfHello = (): Buffer => Buffer.concat([Buffer.from("1603010200010001fc0303", "hex"), randomBytes(32)]);

const beforeTls: readonly Bytes[] = [
  ["a Login in clear", login],
  ["a Login in a stream in clear", () => yamuxData(login())],
  ["a WebSocket to frps", upgrade],
  ["a request of HTTP", () => Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["frp's old first byte of TLS", () => Buffer.concat([Buffer.from([0x17]), halfHello()])],
  ["random bytes", () => randomBytes(512)],
  ["zeros", () => Buffer.alloc(4096)],
  ["half a ClientHello", halfHello],
  ["a ClientHello that says it is huge", () => Buffer.from("160301ffff0100fffb0303", "hex")],
  ["one byte of TLS", () => Buffer.from([0x16])],
  ["nothing", () => Buffer.alloc(0)],
];

const insideTls: readonly Bytes[] = [
  ["a request of HTTP", () => Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["a WebSocket to frps", upgrade],
  ["the first letters of one", () => Buffer.from("GET")],
  ["a request with another method", () => Buffer.from("POST /~!frp HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["HTTP/2's first line", () => Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
  ["a Login without a stream", login],
  ["random bytes", () => Buffer.concat([Buffer.from([0xff]), randomBytes(512)])],
  ["zeros", () => Buffer.alloc(4096)],
  ["TLS within TLS, half of its hello", halfHello],
  ["frp's old first byte of TLS", () => Buffer.concat([Buffer.from([0x17]), halfHello()])],
  ["yamux of another version", () => encodeMuxHeader("windowUpdate", 1, 1, 0, 1)],
  ["half a header of yamux", () => encodeMuxOpen(1).subarray(0, 7)],
  ["a stream that is opened twice", () => Buffer.concat([encodeMuxOpen(1), encodeMuxOpen(1)])],
  ["data for a stream that is not there", () => encodeMuxHeader("data", 0, 99, 100)],
  ["more data than the window has", () => encodeMuxHeader("data", 0, 1, 0xffff_ffff)],
  ["a goodbye", () => encodeMuxHeader("goAway", 0, 0, 0)],
  ["pings alone", () => Buffer.concat(Array.from({ length: 100 }, (_, index) => encodeMuxHeader("ping", 1, 0, index)))],
  ["two thousand streams", () => Buffer.concat(Array.from({ length: 2000 }, (_, index) => encodeMuxOpen(2 * index + 1)))],
  ["half a Login", () => yamuxData(login().subarray(0, 40))],
  ["a Login of -1 bytes", () => yamuxData(encodeRawMessage(messageType.login, "{}", -1n))],
  ["a Login of 2^62 bytes", () => yamuxData(encodeRawMessage(messageType.login, "{}", 2n ** 62n))],
  ["a Login of 10,241 bytes", () => yamuxData(encodeRawMessage(messageType.login, " ".repeat(10_241)))],
  ["a Login that is null", () => yamuxData(encodeRawMessage(messageType.login, "null"))],
  ["a Login that is no JSON", () => yamuxData(encodeRawMessage(messageType.login, "{{{"))],
  ["a Login that is a list", () => yamuxData(encodeRawMessage(messageType.login, "[]"))],
  ["a type that frp does not have", () => yamuxData(encodeRawMessage("Z", "{}"))],
];

/** Sends it, and resolves when the connection is gone to what was answered until then. */
async function sendAndWait(isPlain: boolean, bytes: Buffer): Promise<Buffer> {
  const socket = await connectRawSocket({ port: world.keyhole.controlPort, isPlain });
  const received: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  if (bytes.length > 0) socket.write(bytes);
  await closed;
  return Buffer.concat(received);
}

/** What may come back: nothing, an alert of TLS, or frames of yamux that open and grant nothing of frp's. */
const saysFrpOrHttp = (answer: Buffer): boolean => /HTTP\/|"version"|"run_id"|"error"/.test(answer.toString("latin1"));

describe.concurrent("bytes on the control port", () => {
  it.each([
    ["before TLS", true, beforeTls, 7000],
    ["inside TLS", false, insideTls, 17_000],
  ] as const)(
    "4: %s, whatever they are: the connection is ended without an answer, and a good client is let in meanwhile",
    async (_where, isPlain, cases, deadlineMs) => {
      const startedAt = performance.now();
      const done = new Map<string, number>();
      const answers = cases.map(async ([what, bytes]) => {
        const answer = await sendAndWait(isPlain, bytes());
        done.set(what, performance.now() - startedAt);
        return [what, saysFrpOrHttp(answer)];
      });
      expect(await world.timeGoodClient()).toBeLessThan(2000);
      await waitForFact("all are ended", () => (done.size === cases.length ? true : undefined), {
        timeoutMs: deadlineMs,
        everyMs: 50,
        describe: () =>
          cases
            .map(([what]) => what)
            .filter((what) => !done.has(what))
            .join(", "),
      });
      expect((await Promise.all(answers)).filter(([, hasSpoken]) => hasSpoken)).toEqual([]);
    },
  );

  it("4: HTTP inside TLS is ended at once, also when it comes byte by byte", async () => {
    const socket = await connectRawSocket({ port: world.keyhole.controlPort });
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    const startedAt = performance.now();
    for (const byte of upgrade()) if (!socket.destroyed) socket.write(Buffer.from([byte]));
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  it("4: a client that logs in and then sends bytes that nobody can decrypt loses its own session only", async () => {
    const tenant = await world.makeTenant();
    using client = await connectRaw({ port: world.keyhole.controlPort });
    expect(await client.login(loginOf(tenant.token))).toMatchObject({ run_id: expect.any(String) });
    client.control.stream.write(randomBytes(4096));
    await client.control.ended;
  });
});
