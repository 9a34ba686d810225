/**
 * A thousand takeovers through real frps: a wallet's new frpc displaces its old one, which lives and must be cut and kicked
 * before the new one is answered. Beside it, in between, the same frpc on a wallet that nobody serves: what a takeover adds
 * to a login.
 */
import type { KeyholeProcess } from "../support/keyhole-process.ts";
import { makeWallet } from "../support/wallet.ts";
import { type Measured, printMs, printRatio } from "./measured.ts";
import type { Stage, StagedProcess } from "./stage.ts";
import { type Summary, summarize } from "./statistics.ts";
import { frpcIsUp, startStockFrpc } from "./stock-frpc.ts";
import { requestClientFile, signOrder } from "./subject.ts";

/** One login without anybody to displace for so many takeovers. */
const loginEvery = 5;

/** Measures `takeovers`, one after the other, on `wallets` wallets in turn. */
export async function measureTakeovers(
  stage: Stage,
  options: { readonly keyhole: KeyholeProcess; readonly appPort: number; readonly takeovers: number; readonly wallets: number },
): Promise<Measured> {
  const { keyhole, appPort, takeovers, wallets } = options;
  const newFile = (): Promise<string> => requestClientFile(keyhole, signOrder(makeWallet()), appPort);
  const files = await Promise.all(Array.from({ length: wallets }, newFile));
  const connect = async (file: string): Promise<{ readonly client: StagedProcess; readonly ms: number }> => {
    const client = startStockFrpc(stage, keyhole.frpc, file);
    return { client, ms: (await client.saw(frpcIsUp)) - client.startedAt };
  };
  const holders = await Promise.all(files.map(async (file) => (await connect(file)).client));
  const taken: number[] = [];
  const logins: number[] = [];
  let pending = 0;
  for (let round = 0; round < takeovers; round += 1) {
    const at = round % wallets;
    const former = holders[at];
    const { client, ms } = await connect(files[at] ?? "");
    taken.push(ms);
    if (client.output().includes("HANDOVER_PENDING")) pending += 1;
    holders[at] = client;
    await former?.end("SIGKILL");
    if (round % loginEvery > 0) continue;
    const alone = await connect(await newFile());
    logins.push(alone.ms);
    await alone.client.end("SIGKILL");
  }
  await Promise.all(holders.map((client) => client.end("SIGKILL")));

  const [ours, base] = [summarize(taken), summarize(logins)];
  const row = (name: string, one: Summary): string[] => [
    name,
    printMs(one.p50),
    printMs(one.p95),
    printMs(one.p99),
    printMs(one.max),
    printRatio(one.p50 / base.p50),
  ];
  return {
    key: "takeovers",
    figures: { unit: "ms", takeovers, pending, takeover: ours, login: base, ratioToLogin: ours.p50 / base.p50 },
    table: {
      title: `${takeovers} takeovers with cut and kick, frpc exec → "start proxy success", ms`,
      columns: ["", "p50", "p95", "p99", "slowest", "to a login"],
      rows: [row("takes over from a living client", ours), row("nobody to displace", base)],
      note: `${pending} of them did not succeed at the first try (HANDOVER_PENDING).`,
    },
    goals: [{ name: "takeovers at the first try", goal: "all", found: `${takeovers - pending} of ${takeovers}`, isMet: pending === 0 }],
  };
}
