/**
 * The registry of servers as the personal server's ecosystem runs it: `GET /v1/servers/{address}`, with the shapes that were
 * recorded of it, and with whatever a registry in trouble answers.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One registered server. */
type Registered = { readonly serverAddress: string; readonly ownerAddress: string; readonly revokedAt?: string | null };

/** The registry. */
export type GatewayStandIn = AsyncDisposable & {
  readonly url: string;
  register(server: Registered): void;
  /** The addresses that were asked for, as they stood in the path. */
  readonly asked: string[];
  /** Answers in place of the registry; undefined is the registry again. */
  answer: ((response: ServerResponse) => void) | undefined;
  /** Ends every answer that is held. */
  release(): void;
  /** Keeps the answer until it is released. */
  readonly hold: (response: ServerResponse) => void;
};

/** What it answers about a registered server. */
export function renderRegistered(server: Registered): object {
  const { serverAddress, ownerAddress, revokedAt = null } = server;
  const data = {
    id: "0x3f0d8e1f0c5b0a5a3c8f0d0c8a4c3e6b9f1d2c4b5a697887766554433221100f",
    ownerAddress,
    serverAddress,
    publicKey: `0x04${"ab".repeat(64)}`,
    serverUrl: `https://${serverAddress.toLowerCase()}.server.vana.org`,
    addedAt: "2026-02-04T10:00:00.000Z",
    revokedAt,
  };
  return { data, proof: { signature: `0x${"00".repeat(65)}`, timestamp: 1707091200, gatewayAddress: ownerAddress, status: "confirmed" } };
}

/** Starts it on a port of its own, with nobody registered. */
export async function startGatewayStandIn(): Promise<GatewayStandIn> {
  const servers = new Map<string, Registered>();
  const asked: string[] = [];
  const held = new Set<ServerResponse>();
  const reply = (response: ServerResponse, status: number, body: object): void => {
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    const address = /^\/v1\/servers\/([^/?]+)$/.exec(request.url ?? "")?.[1];
    if (address !== undefined) asked.push(address);
    if (standIn.answer !== undefined) return void standIn.answer(response);
    const found = servers.get(address?.toLowerCase() ?? "");
    if (found === undefined) reply(response, 404, { error: "Server not found" });
    else reply(response, 200, renderRegistered(found));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const standIn: GatewayStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    register: (registered) => void servers.set(registered.serverAddress.toLowerCase(), registered),
    asked,
    answer: undefined,
    hold: (response) => void held.add(response),
    release() {
      for (const response of held) reply(response, 404, { error: "Server not found" });
      held.clear();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return standIn;
}
