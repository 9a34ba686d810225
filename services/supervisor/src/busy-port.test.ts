import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { describeBusyPort, findBusyPort, parseBusyPort } from "./busy-port.ts";
import { probeTcp } from "./probe-tcp.ts";

const ports = [
  { name: "frps bindPort", port: 7001 },
  { name: "frps vhostHttpPort", port: 8080 },
];

test("frps's own words for a port in use are recognised, and the port is named", () => {
  for (const line of [
    "create server listener error, listen tcp 127.0.0.1:7001: bind: address already in use",
    "listen tcp 127.0.0.1:7001: bind: address already in use",
  ]) {
    const busy = parseBusyPort(line, ports);
    expect(busy).toEqual(ports[0]);
    expect(busy && describeBusyPort(busy)).toContain("port 7001 on 127.0.0.1 (frps bindPort) is in use");
  }
  expect(parseBusyPort("create vhost http listener error, listen tcp 127.0.0.1:8080: bind: address already in use", ports)).toEqual(
    ports[1],
  );
  expect(parseBusyPort("listen tcp 127.0.0.1:9: bind: address already in use", ports)?.port).toBe(9);
  expect(parseBusyPort("listen tcp 127.0.0.1:7001: bind: permission denied", ports)).toBeUndefined();
});

test("a port on which somebody listens is found before frps is started, and is free again afterwards", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  expect(await findBusyPort([{ name: "frps bindPort", port }])).toEqual({ name: "frps bindPort", port });
  expect(await probeTcp(port)).toBe("accepts");
  server.close();
  await once(server, "close");
  expect(await findBusyPort([{ name: "frps bindPort", port }])).toBeUndefined();
});
