/** The two configs, judged by the real binaries. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createDashboard,
  deriveFrpsConfig,
  type FrpcSettings,
  renderFrpcConfig,
  renderFrpsConfig,
  verifyFrpsConfig,
} from "../src/index.ts";
import { awaitFact } from "./support/await-fact.ts";
import { makeCertificates } from "./support/certificates.ts";
import { startApp } from "./support/servers.ts";
import { startTlsFront } from "./support/tls-front.ts";
import { findBinaries, startWorld } from "./support/world.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "keyhole-frp-config-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const settings = {
  bindPort: 1,
  vhostHttpPort: 2,
  vhostHttpTimeoutSeconds: 60,
  dashboardPort: 3,
  dashboardUser: "u",
  dashboardPassword: "p",
  hookPort: 4,
  hookUser: "h",
  hookPassword: "s",
};
const hostile = [
  "{{ .Envs.HOME }}",
  "{{",
  '{{ "',
  'say "hi" \\ \\u007b',
  'lines\n"""\n[common]\r\ttab',
  "ünïcödé 🗝 \u2028 \u0000 \u007f",
  "{{{{ range $i := . }}",
  "[common]",
];

describe("frps.toml", () => {
  it.each(hostile)("8: is accepted by frps verify with %j in every text", async (value) => {
    const path = join(directory, "frps.toml");
    const config = deriveFrpsConfig({ ...settings, dashboardUser: value, dashboardPassword: value, hookUser: value, hookPassword: value });
    await writeFile(
      path,
      renderFrpsConfig({ ...config, httpPlugins: config.httpPlugins.map((plugin) => ({ ...plugin, name: value, path: value })) }),
    );
    await verifyFrpsConfig((await findBinaries()).frps.path, path);
  });

  it.each(hostile)("8: gives frps exactly %j: nothing is expanded and nothing is lost", async (value) => {
    await using world = await startWorld({ settings: { dashboardPassword: value, hookPassword: value } });
    expect(await world.dashboard.readClients()).toEqual([]);
    const wrong = createDashboard({ port: world.settings.dashboardPort, user: "keyhole", password: `${value}.`, timeoutMs: 2000 });
    await expect(wrong.readClients()).rejects.toMatchObject({ code: "DASHBOARD_UNAVAILABLE" });
    await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    const [request] = await awaitFact("frps calls the hook", () => world.hook.requests.length > 0 && world.hook.requests, {
      seen: () => world.describe(),
    });
    expect(request?.authorization).toBe(`Basic ${Buffer.from(`frps:${value}`).toString("base64")}`);
  });

  it("8: that is wrong is refused in frps's own words", async () => {
    const { frps } = await findBinaries();
    const path = join(directory, "frps.toml");
    for (const [text, words] of [
      ["bindPort = 70000\n", "port"],
      ["bindPort = \n", "line 1"],
      ["noSuchKey = 1\n", "noSuchKey"],
      [`bindPort = 7000\n# {{ .Nope.X }}\n`, "Nope"],
    ] as const) {
      await writeFile(path, text);
      await expect(verifyFrpsConfig(frps.path, path)).rejects.toMatchObject({
        code: "FRPS_CONFIG_REJECTED",
        message: expect.stringContaining(words),
      });
    }
    await expect(verifyFrpsConfig(join(directory, "no-frps"), path)).rejects.toMatchObject({ code: "FRPS_CONFIG_REJECTED" });
  });
});

describe("frpc.toml", () => {
  const label = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
  const name = "control.tunnel.test";
  const client = (serverPort: number, localPort: number, pem: string): FrpcSettings => ({
    serverAddr: "127.0.0.1",
    serverPort,
    serverName: name,
    token: 'frp_a"b\\c{{ .Envs.HOME }}_1_x',
    label,
    proxyName: "web",
    localPort,
    trustedCa: { kind: "inside", pem, fileName: "frpc.toml" },
    comments: ["cd to this file's folder, then: frpc -c frpc.toml", "{{ .Envs.HOME }}\n[common]"],
  });

  it("with the CA inside connects over TLS; the CA is never sent, the token arrives as written, no admin server starts", async () => {
    const certificates = makeCertificates(name);
    await using app = await startApp("app");
    await using world = await startWorld();
    await using front = await startTlsFront(certificates, world.settings.bindPort);
    const text = renderFrpcConfig(client(front.port, app.port, certificates.ca));
    expect(parse(text)["webServer"]).toEqual({ password: certificates.ca });
    await writeFile(join(world.directory, "frpc.toml"), text);
    const frpc = world.runClient("frpc.toml");
    await world.awaitVisit(`${label}.tunnel.test`, "app");
    expect(world.hook.logins[0]).toMatchObject({ user: label, metas: { token: 'frp_a"b\\c{{ .Envs.HOME }}_1_x' } });
    expect(world.hook.newProxies[0]).toMatchObject({ proxyName: `${label}.web`, subdomain: label });
    expect(world.hook.describe()).not.toContain("CERTIFICATE");
    expect(frpc.log()).not.toContain("admin server listen");
  });

  it("with the CA in a file of its own connects too", async () => {
    const certificates = makeCertificates(name);
    await using app = await startApp("app");
    await using world = await startWorld();
    await using front = await startTlsFront(certificates, world.settings.bindPort);
    const path = join(world.directory, "ca.pem");
    await writeFile(path, certificates.ca);
    await writeFile(
      join(world.directory, "frpc.toml"),
      renderFrpcConfig({ ...client(front.port, app.port, certificates.ca), trustedCa: { kind: "file", path } }),
    );
    world.runClient("frpc.toml");
    await world.awaitVisit(`${label}.tunnel.test`, "app");
  });

  it("with another CA, or for a server of another name, does not connect", async () => {
    const certificates = makeCertificates(name);
    const others = makeCertificates(name);
    await using world = await startWorld();
    await using front = await startTlsFront(certificates, world.settings.bindPort);
    const wrong = [client(front.port, 1, others.ca), { ...client(front.port, 1, certificates.ca), serverName: "other.test" }];
    for (const [index, each] of wrong.entries()) {
      const file = `wrong-${index}.toml`;
      await writeFile(
        join(world.directory, file),
        renderFrpcConfig({ ...each, trustedCa: { ...each.trustedCa, fileName: file } as FrpcSettings["trustedCa"] }),
      );
      const frpc = world.runClient(file);
      const isRefused = () => front.alerts.length > index && frpc.log().includes("connect to server error: session shutdown");
      await awaitFact("frpc refuses the certificate", isRefused, { seen: () => `${front.alerts.join("\n")}\n${frpc.log()}` });
      await frpc.stop();
    }
    expect(world.hook.logins).toEqual([]);
  });
});
