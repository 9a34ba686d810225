/** Opening many tunnels, each a stock frpc, in waves: a machine with few cores starts so many programs at once and no more. */
import { openHttpConnection, renderRequest } from "./http-connection.ts";
import type { Stage, StagedProcess } from "./stage.ts";
import { frpcIsUp, startStockFrpc } from "./stock-frpc.ts";

/** How many are started at once. */
export const wave = 20;

/** One tunnel to open: its file, and where it must answer then. */
export type Order = () => Promise<{ readonly file: string; readonly port: number; readonly host: string }>;

/** Opens tunnels in waves; each must answer once. */
export async function openTunnels(stage: Stage, frpc: string, count: number, order: Order): Promise<StagedProcess[]> {
  const clients: StagedProcess[] = [];
  while (clients.length < count) {
    const opened = await Promise.all(
      Array.from({ length: Math.min(wave, count - clients.length) }, async () => {
        const { file, port, host } = await order();
        const client = startStockFrpc(stage, frpc, file);
        await client.saw(frpcIsUp);
        const connection = await openHttpConnection(port);
        const { status } = await connection.send(renderRequest({ host })).finally(() => connection.close());
        if (status !== 200) throw new Error(`${host} answers ${status}`);
        return client;
      }),
    );
    clients.push(...opened);
  }
  return clients;
}
