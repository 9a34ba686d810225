/**
 * Port 7000 and the certificates: TLS ends at the edge, the true address is known before the first byte is passed, a cut
 * ends both halves, and a bad certificate never replaces a working one.
 */
import { once } from "node:events";
import { rename, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { startNodeEdge } from "@keyhole/edge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expired, first, second } from "./edge-certificates.ts";
import { eventually, type Harness, hostOf, live, observeStill, openHarness, sendRaw } from "./edge-harness.ts";

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness({ isSecure: true });
});
afterAll(() => harness[Symbol.asyncDispose]());

async function dial(allowHalfOpen = false): Promise<{ client: TLSSocket; frps: Socket }> {
  const accepted = once(harness.frps.control, "connection");
  // A TLS client is half-open when the socket below it is.
  const socket = connect({ host: "127.0.0.1", port: harness.edge.controlPort, allowHalfOpen });
  const client = connectTls({ socket, ca: first.cert, servername: "localhost" });
  client.on("error", () => {});
  await once(client, "secureConnect");
  const [frps] = (await accepted) as [Socket];
  return { client, frps };
}
const addressOf = (frps: Socket): string => `${frps.remoteAddress}:${frps.remotePort}`;

describe("port 7000", () => {
  it("passes bytes both ways, whole, and knows the client's true address before the first one", async () => {
    const accepted = once(harness.frps.control, "connection");
    const client = connectTls({ host: "127.0.0.1", port: harness.edge.controlPort, ca: first.cert, servername: "localhost" });
    client.write("first bytes");
    const [frps] = (await accepted) as [Socket];
    let known: string | undefined = "not asked";
    const [data] = (await once(frps, "data").then(async (chunks) => {
      known = (await harness.door.connectionOf(addressOf(frps)))?.source;
      return chunks;
    })) as [Buffer];
    expect(data.toString()).toBe("first bytes");
    expect(known).toBe(`127.0.0.1:${client.localPort}`);
    const large = Buffer.alloc(8 * 1024 * 1024, 5);
    let received = 0;
    client.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    frps.write(large);
    await eventually("all of it arrived", () => received === large.length);
    expect(harness.edge.stats().controlConnections).toBe(1);
    const ended = once(frps, "end");
    client.destroy();
    await ended;
    frps.end();
    await eventually(
      "it is forgotten",
      async () => (await harness.door.connectionOf(addressOf(frps))) === undefined && harness.edge.stats().controlConnections === 0,
    );
  });

  it("a cut ends both halves at once, and only its id names it", async () => {
    const { client, frps } = await dial();
    frps.resume();
    const clientAddress = addressOf(frps);
    await eventually("it is known", async () => (await harness.door.connectionOf(clientAddress)) !== undefined);
    const id = (await harness.door.connectionOf(clientAddress))?.id ?? "";
    const ended = Promise.all([new Promise((resolve) => client.once("close", resolve)), once(frps, "end")]);
    client.resume();
    expect(await harness.door.cut(clientAddress)).toBe(false);
    expect(await harness.door.cut(id)).toBe(true);
    expect(await harness.door.connectionOf(clientAddress)).toBeUndefined();
    await ended;
    expect(await harness.door.cut(id)).toBe(false);
    expect(await harness.door.cut("not an id")).toBe(false);
  });

  it("of two connections of one holder the newest that lives is told, also after the other has gone", async () => {
    const dialed = [await dial(), await dial()];
    const ids: string[] = [];
    for (const { frps } of dialed) {
      frps.resume().on("end", () => frps.end());
      await eventually("it is known", async () => (await harness.door.connectionOf(addressOf(frps))) !== undefined);
      const id = (await harness.door.connectionOf(addressOf(frps)))?.id ?? "";
      ids.push(id);
      await harness.door.claim(id, { holder: "holder", label: live });
      expect(await harness.door.claimedBy("holder")).toBe(id);
    }
    dialed[1]?.client.destroy();
    await eventually("the former is told", async () => (await harness.door.claimedBy("holder")) === ids[0]);
    await harness.door.claim(ids[0] ?? "", { holder: "another", label: live });
    expect([await harness.door.claimedBy("holder"), await harness.door.claimedBy("another")]).toEqual([undefined, ids[0]]);
    dialed[0]?.client.destroy();
    await eventually("nobody is left", async () => (await harness.door.claimedBy("another")) === undefined);
  });

  it("a half that is closed is closed on the other side, and the rest still arrives", async () => {
    const { client, frps } = await dial(true);
    frps.resume();
    client.end("last words");
    await once(frps, "end");
    const answer = once(client, "data");
    frps.end("answer");
    expect(String((await answer)[0])).toBe("answer");
  });

  it("backpressure reaches the sender: a client that does not read stops frps from writing", async () => {
    const { client, frps } = await dial();
    client.pause();
    const block = Buffer.alloc(256 * 1024);
    const fill = (): void => {
      while (!frps.destroyed && frps.writableLength < 8 * block.length) if (!frps.write(block)) break;
    };
    frps.on("drain", fill);
    fill();
    await observeStill("what frps has sent", () => frps.bytesWritten - frps.writableLength);
    expect(frps.writableLength).toBeGreaterThan(0);
    frps.off("drain", fill);
    client.destroy();
    frps.destroy();
  });

  it.each([
    ["plain frp", Buffer.from([0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0])],
    ["HTTP", Buffer.from("GET /~!frp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")],
    ["frp's old first byte", Buffer.from([0x17])],
  ])("%s is closed without reaching frps", async (_name, bytes) => {
    let hasReached = false;
    const reached = (): void => {
      hasReached = true;
    };
    harness.frps.control.once("connection", reached);
    const { isClosed } = await sendRaw(harness.edge.controlPort, bytes, { deadlineMs: 7000 });
    expect(isClosed).toBe(true);
    harness.frps.control.off("connection", reached);
    expect(hasReached).toBe(false);
  });

  it("silence is closed after five seconds", async () => {
    const start = performance.now();
    const { isClosed } = await sendRaw(harness.edge.controlPort, "", { deadlineMs: 8000 });
    expect(isClosed).toBe(true);
    expect(performance.now() - start).toBeGreaterThan(4500);
  });

  it("TLS 1.1 is refused", async () => {
    const client = connectTls({
      host: "127.0.0.1",
      port: harness.edge.controlPort,
      rejectUnauthorized: false,
      maxVersion: "TLSv1.1",
      minVersion: "TLSv1",
    });
    await expect(once(client, "secureConnect")).rejects.toThrow();
  });

  it("a frps that is down closes the client at once", async () => {
    const edge = await harness.again({ frps: { ...harness.options.frps, bindPort: 1 } });
    const client = connectTls({ host: "127.0.0.1", port: edge.controlPort, ca: first.cert, servername: "localhost" });
    client.on("error", () => {});
    client.resume();
    const start = performance.now();
    await new Promise((resolve) => client.once("close", resolve));
    expect(performance.now() - start).toBeLessThan(1000);
    await edge.stop();
  });

  it("stop ends every connection and frees both ports", async () => {
    const edge = await harness.again();
    const client = connectTls({ host: "127.0.0.1", port: edge.controlPort, ca: first.cert, servername: "localhost" });
    client.on("error", () => {});
    await once(client, "secureConnect");
    client.resume();
    const closed = new Promise((resolve) => client.once("close", resolve));
    await edge.stop();
    await closed;
    for (const port of [edge.controlPort, edge.visitorsPort]) {
      const probe = connect(port, "127.0.0.1");
      await expect(once(probe, "connect")).rejects.toThrow("ECONNREFUSED");
    }
  });
});

describe("certificates", () => {
  const files = () => harness.options.control;
  const fingerprint = async (port: number): Promise<string> => {
    const client = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
    await once(client, "secureConnect");
    const { fingerprint256 } = client.getPeerCertificate();
    client.destroy();
    return fingerprint256;
  };
  const place = async (pair: { cert: string; key: string }): Promise<void> => {
    await writeFile(join(harness.dir, "new.key"), pair.key);
    await writeFile(join(harness.dir, "new.crt"), pair.cert);
    await rename(join(harness.dir, "new.key"), files().keyFile);
    await rename(join(harness.dir, "new.crt"), files().certFile);
  };
  const complaints = () => harness.logged.filter(({ level, message }) => level === "warn" && message.includes("certificate")).length;

  it("visitors get HTTPS and nothing else on their port", async () => {
    const status = await new Promise((resolve, reject) => {
      const options = {
        host: "127.0.0.1",
        port: harness.edge.visitorsPort,
        ca: first.cert,
        servername: "localhost",
        headers: { Host: hostOf(live) },
        agent: false,
      } as const;
      get(options, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).on("error", reject);
    });
    expect(status).toBe(200);
    expect(harness.edge.visitorsUrl).toMatch(/^https:\/\/127\.0\.0\.1:/);
    const plain = await sendRaw(harness.edge.visitorsPort, `GET / HTTP/1.1\r\nHost: ${hostOf(live)}\r\n\r\n`);
    expect(plain.text).not.toContain("HTTP/1.1");
    expect(plain.isClosed).toBe(true);
  });

  it("8: bad certificates never replace the working one, and each is logged once; a good one takes over, tunnels stay", async () => {
    const { client, frps } = await dial();
    frps.resume();
    const ports = [harness.edge.controlPort, harness.edge.visitorsPort];
    const old = await fingerprint(harness.edge.controlPort);

    await place({ cert: second.cert, key: first.key });
    await eventually("both listeners complained", () => complaints() === 2);
    await place(expired);
    await eventually("both listeners complained again", () => complaints() === 4);
    await place({ cert: "nonsense", key: "nonsense" });
    await eventually("both listeners complained once more", () => complaints() === 6);
    expect(await Promise.all(ports.map(fingerprint))).toEqual([old, old]);

    await place(second);
    for (const port of ports) await eventually("the new certificate is served", async () => (await fingerprint(port)) !== old);
    expect(complaints()).toBe(6);
    client.write("still here");
    expect(String((await once(frps, "data"))[0])).toBe("still here");
    client.destroy();
  });

  it("an edge does not start without a usable one", async () => {
    await writeFile(join(harness.dir, "other.key"), first.key);
    const control = { ...files(), keyFile: join(harness.dir, "other.key") };
    await expect(startNodeEdge({ ...harness.options, control })).rejects.toMatchObject({ code: "CERTIFICATE_UNREADABLE" });
    await expect(startNodeEdge({ ...harness.options, control: { ...control, certFile: "/nowhere" } })).rejects.toMatchObject({
      code: "CERTIFICATE_UNREADABLE",
    });
  });
});
