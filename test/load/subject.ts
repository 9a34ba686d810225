/** What is measured: a whole `keyhole up` as an operator runs it, and wallets that ask it for tokens as anybody does. */
import { domain, type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import type { Wallet } from "../support/wallet.ts";
import { openHttpConnection, renderRequest } from "./http-connection.ts";

/** Starts one, logging as it does by default. */
export const startSubject = (): Promise<KeyholeProcess> => startKeyholeProcess({ args: ["--log-level", "info"] });

/** The public host of a wallet. */
export const hostOf = (wallet: Wallet): string => `${wallet.label}.${domain}`;

/** What a wallet posts: signed now. */
export const signOrder = (wallet: Wallet): string => JSON.stringify(wallet.prove(Math.floor(Date.now() / 1000)));

/** Renders the request for a token. With `localPort` the answer is a whole frpc.toml. */
export function renderTokenRequest(order: string, localPort?: number): Buffer {
  return renderRequest({
    host: domain,
    method: "POST",
    path: localPort === undefined ? "/v1/tunnel/token" : `/v1/tunnel/token?port=${localPort}`,
    ...(localPort === undefined ? {} : { headers: { accept: "application/toml" } }),
    body: order,
  });
}

/** Asks through the edge, on a connection of its own, and gives the text of frpc.toml. */
export async function requestClientFile(keyhole: KeyholeProcess, order: string, localPort: number): Promise<string> {
  const connection = await openHttpConnection(keyhole.edgePort, { keepsBody: true });
  try {
    const { status, body } = await connection.send(renderTokenRequest(order, localPort));
    if (status !== 200) throw new Error(`no token: ${status} ${body}`);
    return body;
  } finally {
    connection.close();
  }
}

/** One figure of the subject's metrics. */
export async function readMetric(keyhole: KeyholeProcess, name: string): Promise<number> {
  const connection = await openHttpConnection(Number(new URL(keyhole.ready.urls.metrics).port), { keepsBody: true });
  try {
    const { body } = await connection.send(renderRequest({ host: "127.0.0.1", path: "/metrics" }));
    return Number(new RegExp(`^${name} ([0-9.e+]+)$`, "m").exec(body)?.[1]);
  } finally {
    connection.close();
  }
}
