/** Stock frpc of every version that people have is served: with the file of the real personal server, and with ours. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeClaim, makeEvmHolder } from "../support/credentials.ts";
import { type DesktopClient, requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { domain, type KeyholeProcess, type RunningKeyhole, startKeyholeProcess } from "../support/keyhole-process.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { renderPersonalServerConfig } from "../support/personal-server.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";
import { type OlderVersion, obtainOlderFrpc, olderVersions } from "./older-frpc.ts";

let keyhole: KeyholeProcess;
let app: LocalApp;
const frpcOf = new Map<string, string>();
beforeAll(async () => {
  for (const version of Object.keys(olderVersions) as OlderVersion[]) frpcOf.set(version, await obtainOlderFrpc(version, () => {}));
  app = await startLocalApp("personal server");
  keyhole = await startKeyholeProcess();
  frpcOf.set("0.71.0", keyhole.frpc);
});
afterAll(async () => {
  await keyhole?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

/** The running Keyhole, with frpc of this version in the place of ours. */
function withFrpc(version: string): RunningKeyhole {
  const { dir, stateDir, edgePort, controlPort } = keyhole;
  return { dir, stateDir, edgePort, controlPort, frpc: frpcOf.get(version) ?? "" };
}

async function untilServed(label: string, client: DesktopClient): Promise<void> {
  let last = "";
  await waitForFact(
    `${label} is served`,
    async () => {
      const answer = await visit(keyhole.edgePort, `${label}.${domain}`);
      last = `${answer.status} ${answer.body.slice(0, 200)}\n${client.output().slice(-1500)}`;
      return answer.status === 200 && answer.body === "personal server" ? true : undefined;
    },
    { timeoutMs: 25_000, describe: () => last },
  );
}

describe.each(["0.58.1", "0.67.0", "0.71.0"])("frpc %s", (version) => {
  it("with the file of the personal server connects and is served", async () => {
    const wallet = makeEvmHolder();
    const text = renderPersonalServerConfig({
      serverAddr: "127.0.0.1",
      serverPort: keyhole.controlPort,
      metas: await makeClaim(wallet),
      localPort: app.port,
    });
    await using client = startFrpcOn(withFrpc(version), text);
    // What the personal server itself takes for connected.
    await client.saw("start proxy success");
    await untilServed(wallet.label, client);
    expect(client.output()).not.toContain("start error:");
  });

  it("with the file that the token service answers connects and is served", async () => {
    const wallet = makeWallet();
    await using client = startFrpcOn(withFrpc(version), await requestClientConfig(keyhole, wallet, app.port));
    await client.saw("start proxy success");
    await untilServed(wallet.label, client);
  });
});
