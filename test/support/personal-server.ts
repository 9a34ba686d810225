/** The file that the real personal server writes for its frpc before each start: these keys, in this order, and no others. */
import type { ClaimMetas } from "./credentials.ts";

/** What such a file is made of. */
type PersonalServerConfig = {
  readonly serverAddr: string;
  readonly serverPort: number;
  readonly metas: ClaimMetas;
  readonly localPort: number;
  /** Of the proxy. Default: `personal-server-<wallet in lower case>`. */
  readonly name?: string;
};

/** The text of its frpc.toml. */
export function renderPersonalServerConfig({ serverAddr, serverPort, metas, localPort, name }: PersonalServerConfig): string {
  const label = metas.wallet.toLowerCase();
  const lines = [
    `serverAddr = "${serverAddr}"`,
    `serverPort = ${serverPort}`,
    "loginFailExit = false",
    ...(["wallet", "owner", "run_id", "auth_claim", "auth_sig"] as const).map((key) => `metadatas.${key} = "${metas[key]}"`),
    "",
    "[[proxies]]",
    `name = "${name ?? `personal-server-${label}`}"`,
    'type = "http"',
    'localIP = "127.0.0.1"',
    `localPort = ${localPort}`,
    `subdomain = "${label}"`,
  ];
  return `${lines.join("\n")}\n`;
}
