/** What lies between frpc and frps in production, as a thing that a test can break: a TCP relay that is cut or falls silent. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A running relay. Both ends of a connection end together. */
export type Relay = {
  readonly port: number;
  /** Ends every connection there is; new ones are relayed. */
  cut(): void;
  /** From now on nothing passes and nothing ends, in either direction: a cable that was pulled. */
  silence(): void;
  /** Ends the near ends only, so that the far end goes on believing in a client that is gone. */
  halve(): void;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Relays to a port on loopback. */
export async function startRelay(target: number): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let isSilent = false;
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on("error", () => {});
      from.on("close", () => {
        to.destroy();
        pairs.delete(pair);
      });
      from.pipe(to);
      if (isSilent) from.unpipe(to).pause();
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const cut = (): void => {
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    silence: () => {
      isSilent = true;
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
    halve: () => {
      for (const [near, far] of pairs) {
        near.unpipe(far).removeAllListeners("close").destroy();
        far.unpipe(near).resume();
      }
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
