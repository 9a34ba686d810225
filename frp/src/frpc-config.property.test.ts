import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { type FrpcSettings, renderFrpcConfig } from "./frpc-config.ts";

const text = fc.string({ unit: "binary" });
const pem = fc
  .array(fc.base64String({ minLength: 4, maxLength: 64 }), { minLength: 1, maxLength: 30 })
  .map((lines) => `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`);
const settings: fc.Arbitrary<FrpcSettings> = fc.record(
  {
    serverAddr: text,
    serverPort: fc.integer({ min: 1, max: 65_535 }),
    serverName: text,
    localAddress: text,
    token: text,
    label: text,
    proxyName: text,
    localPort: fc.integer({ min: 1, max: 65_535 }),
    trustedCa: fc.oneof(
      fc.record({ kind: fc.constant("inside" as const), pem, fileName: text }),
      fc.record({ kind: fc.constant("file" as const), path: text }),
    ),
    comments: fc.array(text, { maxLength: 4 }),
    auth: fc.record({ kind: fc.constant("token-file" as const), path: text }),
  },
  { requiredKeys: ["serverAddr", "serverPort", "serverName", "token", "label", "proxyName", "localPort", "trustedCa", "comments"] },
);

describe("the config of frpc", () => {
  it("holds exactly the settings, in frp's keys, and never reaches the templating", () => {
    fc.assert(
      fc.property(settings, (value) => {
        const rendered = renderFrpcConfig(value);
        expect(rendered).not.toContain("{{");
        const { trustedCa, auth } = value;
        expect(parse(rendered)).toEqual({
          serverAddr: value.serverAddr,
          serverPort: value.serverPort,
          user: value.label,
          loginFailExit: false,
          ...(auth === undefined
            ? { metadatas: { token: value.token } }
            : { auth: { method: "oidc", oidc: { tokenSource: { type: "file", file: { path: auth.path } } } } }),
          transport: {
            ...(value.localAddress === undefined ? {} : { connectServerLocalIP: value.localAddress }),
            tcpMuxKeepaliveInterval: 5,
            tls: { serverName: value.serverName, trustedCaFile: trustedCa.kind === "inside" ? trustedCa.fileName : trustedCa.path },
          },
          proxies: [{ name: value.proxyName, type: "http", localPort: value.localPort, subdomain: value.label }],
          ...(trustedCa.kind === "inside" ? { webServer: { password: trustedCa.pem } } : {}),
        });
      }),
    );
  });

  it("a file with the token stands for it: the token itself is nowhere in the config", () => {
    const [value] = fc.sample(settings, 1);
    const rendered = renderFrpcConfig({ ...value!, token: "the-token-itself", auth: { kind: "token-file", path: "/run/token.jwt" } });
    expect(rendered).toContain('path = "/run/token.jwt"');
    expect(rendered).not.toContain("the-token-itself");
    expect(parse(rendered)["metadatas"]).toBeUndefined();
  });

  it("begins with the comments", () => {
    const [value] = fc.sample(settings, 1);
    expect(renderFrpcConfig({ ...value!, comments: ["cd to this file's folder", "run: frpc -c frpc.toml"] })).toMatch(
      /^# cd to this file's folder\n# run: frpc -c frpc\.toml\n\n/,
    );
  });

  it("takes nothing but certificates from the CA, and refuses a CA without one", () => {
    const [value] = fc.sample(settings, 1);
    const hostile = '"""\nserverAddr = "evil"\n{{ .Envs.HOME }}\n-----BEGIN CERTIFICATE-----\r\nAAAA\r\n-----END CERTIFICATE-----\nmore';
    const rendered = renderFrpcConfig({ ...value!, trustedCa: { kind: "inside", pem: hostile, fileName: "frpc.toml" } });
    expect(parse(rendered)["webServer"]).toEqual({ password: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" });
    expect(rendered).not.toContain("evil");
    for (const bad of ["", "not a certificate", "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n"]) {
      expect(() => renderFrpcConfig({ ...value!, trustedCa: { kind: "inside", pem: bad, fileName: "f" } })).toThrow(TypeError);
    }
  });
});
