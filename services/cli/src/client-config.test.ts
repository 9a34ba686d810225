import { parse } from "smol-toml";
import { expect, it } from "vitest";
import { renderClientConfig } from "./client-config.ts";

const config = {
  grant: {
    token: "eyJ.token",
    subdomain: "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
    serverAddr: "proxy.example.org",
    serverPort: 7000,
    expiresAt: "2026-11-23T12:00:00Z",
    tunnelUrl: "https://0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed.example.org",
    proxyName: "app",
  },
  serverName: "proxy.example.org",
  caPem: "",
  localPort: 8080,
  fileName: "frpc.toml",
  caPath: "/etc/ca.pem",
  tokenFile: undefined,
};

it("a client's file carries the token, and says until when it is good", () => {
  const text = renderClientConfig(config);
  expect(parse(text)).toMatchObject({ metadatas: { token: "eyJ.token" } });
  expect(text).toContain("good until 2026-11-23T12:00:00Z");
});

it("9: with a token file it carries none, and says where frpc reads it and by when it must be renewed", () => {
  const text = renderClientConfig({ ...config, tokenFile: "/home/me/token" });
  expect(parse(text)).toMatchObject({
    auth: { method: "oidc", oidc: { tokenSource: { type: "file", file: { path: "/home/me/token" } } } },
  });
  expect(text).not.toContain("eyJ.token");
  expect(text).toContain("from /home/me/token");
  expect(text).toContain("a newer one by 2026-11-23T12:00:00Z");
});
