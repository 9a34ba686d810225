/**
 * Stands between frps and the plugin's hook, so that a test can do something at an exact moment of a call: before the
 * plugin hears it, or after it has answered and before frps has.
 */
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

/** What a test may do with a call. */
type HookCall = { readonly op: string; readonly body: string };

/** A running relay. Both hooks are awaited; a rejection ends frps's connection without an answer. */
export type HookRelay = AsyncDisposable & {
  readonly port: number;
  /** Called before the call is passed on; with a status the call is answered with it, and not passed on. */
  before: (call: HookCall) => Promise<unknown>;
  /** Called when the plugin has answered, before frps hears it. */
  after: (call: HookCall, answer: string) => Promise<void>;
};

/** Starts it in front of a hook on this port of loopback. */
export async function startHookRelay(hookPort: number): Promise<HookRelay> {
  const agent = new Agent({ keepAlive: false });
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const body = Buffer.concat(chunks);
      const call: HookCall = { op: new URL(incoming.url ?? "/", "http://hook").searchParams.get("op") ?? "", body: body.toString() };
      const fail = (): void => void incoming.socket.destroy();
      relay.before(call).then((status) => {
        if (typeof status === "number") return void outgoing.writeHead(status).end();
        const { method, url, headers } = incoming;
        const sent = request({ host: "127.0.0.1", port: hookPort, method, path: url, headers, agent }, (answer) => {
          let text = "";
          answer.on("data", (chunk) => (text += String(chunk)));
          answer.on("error", fail);
          answer.on("end", () => {
            relay
              .after(call, text)
              .then(() => outgoing.writeHead(answer.statusCode ?? 502, { "Content-Type": "application/json" }).end(text), fail);
          });
        });
        sent.on("error", fail);
        return void sent.end(body);
      }, fail);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const relay: HookRelay = {
    port: (server.address() as AddressInfo).port,
    before: async () => {},
    after: async () => {},
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return relay;
}
